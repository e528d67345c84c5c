"""Keys, and what they do."""

from __future__ import annotations

import asyncio

from perftui.keys import keys_of
from perftui_agent.wire.dumps import Refusal
from tests.perftui.screens.seen import LARGE, SMALL, Seen, look, opened
from tests.support.fake_feed import FakeFeed
from tests.support.fake_routes import many_routes


def pointed(text: str) -> str:
    """Return the route under the cursor."""
    line = next(line for line in text.splitlines() if line.startswith("›"))
    return line[3:].split("  ")[0]


def test_the_cursor_moves_with_arrows_and_letters() -> None:
    """Down and j, up and k are the same."""
    feed = FakeFeed()
    assert pointed(look(feed, "down")) == pointed(look(feed, "j")) != pointed(look(feed))
    assert pointed(look(feed)) == pointed(look(feed, "j", "j", "k", "up"))


def test_g_twice_goes_to_the_top_and_capital_g_to_the_bottom() -> None:
    """One `g` alone does nothing, nor does `g` with another key between."""
    feed = FakeFeed(names=many_routes(50))
    bottom = pointed(look(feed, "G"))
    assert bottom == pointed(look(feed, "G", "g"))
    assert bottom == pointed(look(feed, "G", "g", "i", "i", "g"))
    assert pointed(look(feed)) == pointed(look(feed, "G", "g", "g"))


def test_the_cursor_stays_on_its_row_when_the_order_changes() -> None:
    """Whatever the sort, the selected route stays selected."""
    feed = FakeFeed()
    chosen = pointed(look(feed, "j", "j"))
    for keys in ("s", "S", "i"):
        assert chosen == pointed(look(feed, "j", "j", keys))


def test_sorting_goes_through_the_columns() -> None:
    """`s` takes the next column, `S` the previous one, `i` turns the order around."""
    feed = FakeFeed()
    assert "↓rps" in look(feed, "s")
    assert "↑route" in look(feed, "S")
    assert "↑rps" in look(feed, "s", "i")


def test_tab_goes_to_the_workers() -> None:
    """The next pane has the cursor, and enter opens a worker there."""
    assert "shop › worker 4121" in look(FakeFeed(), "tab", "enter")


def test_enter_opens_a_route_and_escape_comes_back_to_its_row() -> None:
    """The way back ends where it began."""
    feed = FakeFeed()

    async def scene() -> None:
        async with opened(feed) as seen:
            await seen.press("j", "j", "j")
            before = seen.text()
            await seen.press("enter")
            assert "shop › GET /search" in seen.lines()[0]
            await seen.press("escape")
            assert before == seen.text()

    asyncio.run(scene())


def test_pause_freezes_the_picture_and_says_since_when() -> None:
    """Paused, the numbers of then stay while the service goes on; the same key lets go."""
    moment = [1_795_262_400.0]
    feed = FakeFeed(clock=lambda: moment[0])

    async def scene() -> None:
        async with opened(feed) as seen:
            await seen.press("space")
            frozen = seen.lines()[1:]
            moment[0] += 30
            await seen.repaint()
            assert " paused " in seen.lines()[0]
            assert frozen == seen.lines()[1:]
            await seen.press("p")
            assert "● live" in seen.lines()[0]
            assert frozen != seen.lines()[1:]

    asyncio.run(scene())


def test_the_window_goes_round() -> None:
    """A minute, five, fifteen, ten seconds, and a minute again."""
    feed = FakeFeed()
    for presses, word in enumerate((" 1m ", " 5m ", " 15m ", " 10s ", " 1m ")):
        assert word in look(feed, *["w"] * presses).splitlines()[0]


def test_the_refresh_rate_can_be_changed() -> None:
    """`+` paints more often, `-` less, and what it is now is said."""
    assert "repaints every 0.5 s" in look(FakeFeed(), "plus", size=LARGE)
    assert "repaints every 2 s" in look(FakeFeed(), "minus", size=LARGE)


def test_help_shows_the_keys() -> None:
    """`?` opens the table of keys and closes it again."""
    feed = FakeFeed()
    text = look(feed, "question_mark")
    for key in keys_of("triage"):
        assert key.sentence in text
    assert look(feed) == look(feed, "question_mark", "question_mark")


def test_quitting_ends_with_success() -> None:
    """`q` and ctrl+c leave with exit code 0."""

    async def left_by(key: str) -> int | None:
        async with opened(FakeFeed()) as seen:
            await seen.press(key)
        return seen.app.return_value

    assert [asyncio.run(left_by(key)) for key in ("q", "ctrl+c")] == [0, 0]


def test_a_dump_is_asked_for_first() -> None:
    """`D` alone takes no dump; the question names the worker."""
    feed = FakeFeed()
    assert "Dump worker 4121?" in look(feed, "D")
    assert "● live" in look(feed, "D", "n")
    assert "● live" in look(feed, "D", "escape")
    assert feed.dumped == []


def test_a_dump_shows_what_holds_the_worker() -> None:
    """After yes the own code of the thread that holds the GIL is on the screen."""
    feed = FakeFeed(troubles=("blocked",))
    text = look(feed, "D", "y")
    assert "shop › worker 4121" in text
    assert "▲ MainThread  holds the GIL  serving GET /reports" in text
    assert "rows = sorted(rows" in text
    assert "py-spy by sibling 4122" in text


def test_a_dump_can_be_taken_again() -> None:
    """`d` asks the same worker once more."""
    feed = FakeFeed()
    look(feed, "D", "y", "d", "d")
    assert len(feed.dumped) == 3
    assert len(set(feed.dumped)) == 1


def test_a_fold_opens_and_closes() -> None:
    """Enter on a folded line shows what is in it, once more hides it."""
    to_the_fold = ["D", "y", *["down"] * 5]
    assert "__call__" not in look(FakeFeed(), *to_the_fold)
    assert "__call__" in look(FakeFeed(), *to_the_fold, "enter")
    assert "__call__" not in look(FakeFeed(), *to_the_fold, "enter", "up", "up", "enter")


def test_a_refusal_is_said_in_a_sentence() -> None:
    """When nobody may dump, the reason and the mend stand where the stacks would."""
    refusal = Refusal(id="1", reason="ptrace is not allowed here", advice="run as its user")
    text = look(FakeFeed(answer=refusal), "D", "y")
    assert "✗ ptrace is not allowed here" in text
    assert "run as its user" in text


def test_all_workers_are_dumped_and_what_is_the_same_is_told_once() -> None:
    """`a` asks first, then takes one after the other; once more it is the first alone again."""
    feed = FakeFeed()
    assert "Dump all 4 workers?" in look(feed, "D", "y", "a")
    assert len(feed.dumped) == 1
    feed = FakeFeed()
    text = look(feed, "D", "y", "a", "y", size=LARGE)
    assert len(set(feed.dumped)) == 4
    assert "shop › 4 workers" in text
    assert "MainThread × 4  holds the GIL" in text
    assert "32 × app/crud.py:61 list_orders" in text
    assert "workers 4121 4122 4123 4124" in text
    assert "shop › worker 4121" in look(FakeFeed(), "D", "y", "a", "y", "a")


def test_variables_are_asked_for_by_the_function_under_the_cursor() -> None:
    """`l` warns first; nothing of them was asked for before, and `l` once more takes them away."""
    feed = FakeFeed()
    assert "put the cursor on a function" in look(feed, "D", "y", "l")
    asked = look(feed, "D", "y", "down", "l")
    assert "Show the variables of build_report?" in asked
    assert set(feed.asked_for) == {""}
    feed = FakeFeed()
    text = look(feed, "D", "y", "down", "l", "y", size=LARGE)
    assert feed.asked_for == ["", "build_report"]
    assert "VARIABLES OF build_report app/reports.py:42 in MainThread" in text
    assert "month = '2026-11'" in text
    assert "what its users sent may be among them" in text
    feed = FakeFeed()
    assert "VARIABLES" not in look(feed, "D", "y", "down", "l", "y", "l")
    assert feed.asked_for == ["", "build_report", ""]


def test_tasks_stand_below_the_threads_and_open() -> None:
    """Where they wait, for whom, and how they got there."""
    text = look(FakeFeed(), "D", "y")
    assert "11 TASKS WAIT" in text
    assert "8 × app/crud.py:61 list_orders  QueuePool._do_get › Queue.get" in text
    assert "serving GET /orders × 8, up to 3.20s" in text
    assert "waits for 3 × app/crud.py:61 list_" in text
    opened = look(FakeFeed(), "D", "y", *["down"] * 7, "enter", size=LARGE)
    assert "async with engine.connect() as connection:" in opened
    assert "Task-0 RequestResponseCycle.run_asgi" in opened


def test_from_a_dump_the_way_leads_back() -> None:
    """Escape goes to the worker it was asked for from, then to the triage view."""

    async def walk(seen: Seen) -> None:
        await seen.press("tab", "enter", "D", "y")
        assert "dump 12:00:00" in seen.lines()[0]
        await seen.press("escape")
        assert "shop › worker 4121 · ● live" in seen.lines()[0]
        await seen.press("escape")
        assert "4/4 workers" in seen.lines()[0]

    async def scene() -> None:
        async with opened(FakeFeed()) as seen:
            await walk(seen)

    asyncio.run(scene())


def test_without_a_worker_there_is_nothing_to_dump() -> None:
    """`D` on an empty table says so instead of asking."""
    assert "no worker to dump yet" in look(FakeFeed(workers=0), "D", size=LARGE)


def test_a_pane_can_have_the_whole_screen() -> None:
    """`z` gives it to the pane with the focus, once more or escape gives it back, `tab` hands it on."""

    async def scene() -> None:
        async with opened(FakeFeed(), LARGE) as seen:
            before = seen.text()
            await seen.press("z")
            assert "ROUTES" in seen.lines()[1]
            assert "WORKERS" not in seen.text()
            await seen.press("tab")
            assert "WORKERS" in seen.lines()[1]
            assert "ROUTES" not in seen.text()
            for way_back in ("z", "escape"):
                await seen.press("shift+tab", way_back)
                assert before.splitlines()[:-1] == seen.lines()[:-1]
                await seen.press("z")

    asyncio.run(scene())


def test_a_zoomed_pane_follows_the_size_of_the_terminal() -> None:
    """Given back after a resize, the panes are composed for the size of now."""

    async def scene() -> list[str]:
        async with opened(FakeFeed(), LARGE) as seen:
            await seen.press("z")
            await seen.resize(*SMALL)
            assert "ROUTES" in seen.lines()[1]
            await seen.press("z")
            return seen.lines()

    assert look(FakeFeed()).splitlines() == asyncio.run(scene())


def test_a_pane_that_is_alone_says_so() -> None:
    """There is nothing to zoom or to go to in a view of one pane."""
    assert "it is the only pane here" in look(FakeFeed(), "7", "z", size=LARGE)
    assert "there is no other pane to go to" in look(FakeFeed(), "7", "tab", size=LARGE)
