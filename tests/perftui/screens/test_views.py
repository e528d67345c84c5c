"""The views 2 to 8 and what they drill down to, as a reader sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from perftui.model.summary import Summary
from tests.perftui.screens.seen import HUGE, LARGE, SMALL, Seen, look, opened
from tests.support.fake_evidence import HOSTILE, ShopFeed, a_pool, caches, many_queries, queries, slow_orders
from tests.support.fake_feed import FakeFeed
from tests.support.fake_figures import NOON

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE, HUGE], ids=["80x24", "120x40", "200x50"])
WALKS = (
    ("enter",),
    ("2", "enter"),
    ("3", "enter"),
    ("3", "tab", "enter"),
    ("4", "enter"),
    ("4", "tab", "enter"),
    ("5", "enter"),
    ("6", "enter"),
    ("7", "enter"),
    ("8", "enter"),
)
"""Keys that lead to each kind of detail."""

EVERYWHERE = (*((digit,) for digit in "12345678"), *(("1", *keys) for keys in WALKS))
"""Keys that lead to every screen, whichever one is on."""


def pictures(feed: FakeFeed, size: tuple[int, int] = SMALL) -> dict[str, list[str]]:
    """Return the lines of every screen, by the keys that lead there."""

    async def scene() -> dict[str, list[str]]:
        found = {}
        async with opened(feed, size) as seen:
            for keys in EVERYWHERE:
                await seen.press(*keys)
                found[" ".join(keys)] = seen.lines()
        return found

    return asyncio.run(scene())


def shop(change: Callable[[Summary], Summary] = lambda summary: summary) -> ShopFeed:
    return ShopFeed(change=change)


@SIZES
def test_every_screen_fits_and_tells_its_keys(size: tuple[int, int]) -> None:
    """No line is wider than the terminal; the service is named above, help and quit below."""
    for keys, lines in pictures(shop(), size).items():
        assert size[1] == len(lines), keys
        assert max(cell_len(line) for line in lines) <= size[0], keys
        assert "shop" in lines[0], keys
        assert "? help" in lines[-1], keys
        assert "q quit" in lines[-1], keys


@pytest.mark.parametrize(
    ("digit", "crumb", "words"),
    [
        ("2", "routes", ("ROUTES", "GET /orders", "LATENCY OVER TIME")),
        ("3", "requests", ("SLOWEST", "1.31s", "50× SQL 1.02s", "IN FLIGHT", "POST /checkout", "crud.py:61")),
        ("4", "SQL", ("STATEMENTS", "FROM order_lines WHERE", "POOLS", "main", "15/10", "310ms")),
        ("5", "caches", ("CACHES", "items", "24%", "128/128", "sessions", "redis is off: not imported")),
        ("6", "workers", ("WORKERS", "4121", "share", "OVER TIME")),
        ("7", "timeline", ("WHEN", "loop-blocked", "worker-lost", "n-plus-one", "pool-exhausted")),
    ],
)
def test_a_digit_opens_a_view(digit: str, crumb: str, words: tuple[str, ...]) -> None:
    """The breadcrumbs say which view it is, and its rows are there."""
    text = look(shop(), digit)
    assert f"shop › {crumb}" in text.splitlines()[0]
    for word in words:
        assert word in text


def test_upstreams_tell_who_is_called_and_open_to_where_the_time_goes() -> None:
    """The table, and one of its rows: the upstream's own time apart, with routes and places."""
    table = look(shop(), "8", size=LARGE)
    detail = look(shop(), "8", "enter", size=LARGE)

    for word in ("UPSTREAMS", "GET rates.internal:8080", "640ms", "2.0%", "600ms"):
        assert word in table
    for word in ("ROUTES THAT CALL IT", "GET /orders", "unread here", "40ms", "ReadTimeout", "rates.py:12"):
        assert word in detail


def test_digits_switch_views_from_anywhere() -> None:
    """From a detail of a detail a digit goes to its view; escape goes from there to triage."""

    async def scene() -> None:
        async with opened(shop()) as seen:
            await seen.press("4", "enter", "6")
            assert "shop › workers" in seen.lines()[0]
            await seen.press("escape")
            assert "4/4 workers" in seen.lines()[0]

    asyncio.run(scene())


def test_a_view_keeps_its_cursor_while_it_is_out_of_sight() -> None:
    """Whoever comes back to a view by its digit finds the row and the order that were left."""

    async def scene() -> tuple[str, str]:
        async with opened(shop()) as seen:
            await seen.press("2", "j", "j", "s")
            before = seen.text()
            await seen.press("5", "1", "2")
            return before, seen.text()

    before, after = asyncio.run(scene())
    assert before == after


def test_escape_goes_back_to_the_row_one_came_from() -> None:
    """After any drill-down one key restores the screen."""

    async def scene() -> None:
        async with opened(shop()) as seen:
            for keys in WALKS:
                await seen.press("1", *keys[:-1])
                before = seen.text()
                await seen.press(keys[-1])
                assert before != seen.text()
                await seen.press("escape")
                assert before == seen.text()

    asyncio.run(scene())


def test_a_request_tells_its_story_on_one_axis() -> None:
    """Repeats are folded with their count, the call site stands with what could be done, spans lead on."""

    async def walk(seen: Seen) -> None:
        lines = seen.lines()
        line = next(line for line in lines if "50× SELECT" in line)
        assert "1.02s" in line
        assert "━" in line
        pool = next(line for line in lines if "pool wait" in line and "main" in line)
        loop = next(line for line in lines if "loop wait" in line and "reports.py:42" in line)
        assert pool.index("━") <= line.index("━") < loop.index("━")
        assert "other binds each time, from app/crud.py:88 load_lines: one statement could do" in seen.text()
        await seen.press("down", "down", "down", "down", "enter")
        assert "#8f31 › SELECT … FROM order_lines" in seen.lines()[0]

    async def scene() -> None:
        async with opened(shop(), LARGE) as seen:
            await seen.press("3", "enter")
            assert "shop › requests › #8f31" in seen.lines()[0]
            await walk(seen)

    asyncio.run(scene())


def test_a_story_stays_when_its_request_has_left_the_window() -> None:
    """What one is reading isn't taken away."""
    gone = [False]
    feed = shop(lambda summary: replace(summary, slowest=() if gone[0] else summary.slowest))

    async def scene() -> str:
        async with opened(feed) as seen:
            await seen.press("3", "enter")
            gone[0] = True
            await seen.repaint()
            return seen.text()

    assert "50× SELECT" in asyncio.run(scene())


def test_a_request_that_ends_while_one_looks_says_so() -> None:
    """The last that was seen of it stays, marked as past."""
    gone = [False]
    feed = shop(lambda summary: replace(summary, in_flight=() if gone[0] else summary.in_flight))

    async def scene() -> tuple[str, str]:
        async with opened(feed) as seen:
            await seen.press("3", "tab", "enter")
            before = seen.text()
            gone[0] = True
            await seen.repaint()
            return before, seen.text()

    before, after = asyncio.run(scene())
    assert "waits at    app/crud.py:61 list_orders" in before
    assert "it has ended" not in before
    assert "it has ended" in after
    assert "waits at    app/crud.py:61 list_orders" in after


def test_a_statement_is_told_whole_with_its_routes_and_call_site() -> None:
    """What the table shortens stands in full, a line for each clause."""
    text = look(shop(), "4", "enter")
    for word in (
        "SELECT order_lines.id, order_lines.order_id, order_lines.quantity",
        "WHERE ? = order_lines.order_id",
        "called from  app/crud.py:88 load_lines",
        "ROUTES THAT RUN IT",
        "GET /orders",
        "SLOW REQUESTS WITH IT",
    ):
        assert word in text


def test_a_pool_tells_who_waits() -> None:
    """How full it is, how long one waits, which routes and which requests do."""
    text = look(shop(), "4", "tab", "enter", size=LARGE)
    for word in (
        "pool main",
        "in use 15",
        "wait p95 310ms",
        "time-outs 2",
        "ROUTES THAT WAIT",
        "POST /checkout",
    ):
        assert word in text


def test_a_route_tells_its_statements_and_its_slowest_requests() -> None:
    """Executions per request, share of the time and call site; each slow request leads to its story."""
    text = look(shop(), "2", "enter", size=LARGE)
    assert "n-plus-one" in text
    row = next(
        line for line in text.splitlines() if "order_lines" in line and line.endswith("crud.py:88 load_lines")
    )
    assert " 54.4 " in row
    assert "#8f31" in text
    assert "LATENCY OVER TIME" in look(shop(), "2", "enter", "G", size=LARGE)


def test_a_held_loop_leads_to_its_stack() -> None:
    """The function's own screen shows how it was called, for which route, in which worker."""
    text = look(shop(), "7", "slash", *"loop", "enter", "enter")
    for word in (
        "reports.py build_report",
        "held the loop 3×",
        "→ app/routes.py:118 reports",
        "GET /reports",
    ):
        assert word in text


def test_findings_lead_and_open_their_evidence() -> None:
    """The cursor waits on the worst cause; enter shows it, the next line is one key away."""
    first = look(shop())
    assert next(line for line in first.splitlines() if line.startswith("›▲ loop-blocked"))
    assert "shop › reports.py build_report" in look(shop(), "enter").splitlines()[0]
    assert "shop › pool main" in look(shop(), "j", "enter").splitlines()[0]
    text = look(shop(), "j", "j", "enter")
    assert "shop › GET /orders" in text.splitlines()[0]
    assert "crud.py:88 load_lines" in text


def test_findings_that_come_later_leave_the_cursor_alone() -> None:
    """Who has pressed a key keeps the pane that key was meant for."""
    calm = [True]
    feed = shop(lambda summary: FakeFeed().summary(60.0) if calm[0] else summary)

    async def scene() -> str:
        async with opened(feed) as seen:
            await seen.press("j")
            calm[0] = False
            await seen.repaint()
            await seen.press("enter")
            return seen.lines()[0]

    assert "shop › GET /" in asyncio.run(scene())


def test_findings_that_have_no_room_are_counted() -> None:
    """The pane's last line says how many more there are; going down shows them."""
    assert any(line.endswith(" more") and "+ " in line for line in look(shop()).splitlines())
    kinds = {
        next(line for line in look(shop(), *["j"] * presses).splitlines() if line.startswith("›"))
        for presses in range(4)
    }
    assert len(kinds) == 4


@pytest.mark.parametrize(
    ("digit", "why"),
    [
        ("2", "no request in the last 60 s"),
        ("3", "nothing is in flight"),
        ("4", "no pool seen"),
        ("5", "no cache seen"),
        ("8", "no outgoing call"),
        ("6", "no worker yet"),
        ("7", "nothing has happened"),
    ],
)
def test_an_empty_view_says_what_is_not_there(digit: str, why: str) -> None:
    """Nothing is shown as a sentence, not as an empty screen."""
    assert why in look(FakeFeed(workers=0, troubles=("idle",)), digit)


def test_a_probe_that_is_off_says_why_where_its_data_would_be() -> None:
    """Without SQLAlchemy there are no pools, and the view says that it isn't imported."""

    def off(summary: Summary) -> Summary:
        probes = {"sqlalchemy": "off: not imported", "pools": "off: not imported", "caches": "on"}
        workers = tuple(replace(worker, probes=probes) for worker in summary.workers)
        return replace(summary, workers=workers, queries=(), pools=(), caches=())

    text = look(shop(off), "4")
    assert "no pool seen: pools, sqlalchemy are off: not imported" in text
    assert "no statement: sqlalchemy is off: not imported" in text
    assert "watch_cache" in look(shop(off), "5")


def test_probes_that_are_off_for_one_reason_are_told_in_one_line_and_once() -> None:
    """Where none of them is on, the table's own sentence says it, at 80 columns to its end."""

    def off(summary: Summary, **on: str) -> Summary:
        probes = dict.fromkeys(("aiohttp", "httpx", "httpx2", "urllib3"), "off: not imported") | on
        workers = tuple(replace(worker, probes=probes) for worker in summary.workers)
        return replace(summary, workers=workers, upstreams=())

    none = look(shop(off), "8")
    assert "no outgoing call: aiohttp, httpx, httpx2, urllib3 are off: not imported\n" in none
    assert none.count("not imported") == 1
    some = look(shop(lambda summary: off(summary, httpx="on")), "8")
    assert "no outgoing call in this window" in some
    assert " · aiohttp, httpx2, urllib3 are off: not imported\n" in some


@SIZES
def test_before_the_first_frame_every_view_opens(size: tuple[int, int]) -> None:
    """There is nothing yet, and nothing breaks."""
    for keys, lines in pictures(FakeFeed(troubles=("connecting",)), size).items():
        assert "○ connecting" in lines[0], keys


def test_hostile_names_move_nothing() -> None:
    """Markup is text, escapes and turned directions are gone, wide letters keep the columns."""
    for keys, lines in pictures(shop(_hostile)).items():
        assert max(cell_len(line) for line in lines) <= SMALL[0], keys
        assert not {"\x1b", "\u202e", "\u200d"} & set("".join(lines)), keys


def test_absurdly_long_names_are_cut() -> None:
    """Whatever has a thousand letters stays within the screen and its columns."""
    for keys, lines in pictures(shop(lambda summary: _named(summary, "y" * 1000))).items():
        assert max(cell_len(line) for line in lines) <= SMALL[0], keys
        assert "? help" in lines[-1], keys


def _hostile(summary: Summary) -> Summary:
    return _named(summary, HOSTILE)


def _named(summary: Summary, name: str) -> Summary:
    """Return a summary in which all that comes from outside is called `name`."""
    renamed = msgspec.structs.replace
    request = slow_orders(int(NOON * 1e9))
    request = renamed(
        request,
        path=f"/{name}",
        route=f"GET /{name}",
        id=name[:40],
        spans=[renamed(span, name=name, call_site=name) for span in request.spans],
    )
    row = replace(summary.slowest[0], request=request)
    incident = summary.incidents[0].incident
    held = renamed(incident, where=f"{name}:42 {name}", stack=[name, name], route=name)
    flying = renamed(summary.in_flight[0].request, path=name, waiting_at=name, route=f"GET /{name}")
    statement = f"SELECT {name} FROM {name}"
    return replace(
        summary,
        routes=tuple(replace(route, route=f"GET /{name}") for route in summary.routes[:1]),
        queries=(replace(queries()[0], statement=statement, call_site=name, routes=(name,)),),
        pools=(replace(a_pool(), name=name, kind=name),),
        caches=(type(caches()[0])(name=name, kind=name, hits=1),),
        slowest=(row,),
        in_flight=(replace(summary.in_flight[0], request=flying),),
        incidents=(replace(summary.incidents[0], incident=held),),
        events=tuple(replace(event, subject=name, sentence=name) for event in summary.events),
    )


def test_many_rows_are_a_page_and_a_count() -> None:
    """A thousand statements: the heading counts them, the last one can be reached, a filter finds one."""
    feed = shop(lambda summary: replace(summary, queries=many_queries(1000)))
    assert "of 1000" in look(feed, "4")
    assert "–1000 of 1000" in look(feed, "4", "G")
    found = look(feed, "4", "slash", *"t777", "enter")
    assert "STATEMENTS 1 of 1000" in found
    assert "FROM t777" in found


def test_a_worker_can_be_dumped_from_its_view() -> None:
    """`D` asks for the worker under the cursor."""
    assert "Dump worker 4122?" in look(shop(), "6", "j", "D")


def test_a_second_without_news_paints_nothing_in_any_view() -> None:
    """The same picture again marks no line for painting."""

    async def scene() -> dict[str, list[object]]:
        found: dict[str, list[object]] = {}
        async with opened(shop(), LARGE) as seen:
            for digit in "234567":
                await seen.press(digit)
                await seen.repaint()
                regions: list[object] = []
                for widget in seen.app.screen.query("Lines"):
                    widget.refresh = _collecting(regions)  # type: ignore[method-assign]
                seen.app.repaint()
                found[digit] = list(regions)
        return found

    assert asyncio.run(scene()) == {digit: [] for digit in "234567"}


def _collecting(regions: list[object]) -> Callable[..., Any]:
    return lambda *given, **_: regions.extend(given)
