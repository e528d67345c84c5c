"""The triage view in every state, as a reader sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from textual import events

from perftui.app import Dashboard
from perftui.model.steps import Steps
from perftui.model.summary import Summary
from perftui.slices import SLICE_S
from perftui_agent.wire.parts import WorkerId
from tests.perftui.screens.seen import HUGE, LARGE, SMALL, look, opened
from tests.support.fake_feed import FakeFeed
from tests.support.fake_routes import many_routes

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE, HUGE], ids=["80x24", "120x40", "200x50"])


@SIZES
def test_live_service_in_one_picture(size: tuple[int, int]) -> None:
    """Target, coverage, state, window, six numbers, routes and workers are all there, with their keys."""
    text = look(FakeFeed(), size=size)
    first, *_, last = text.splitlines()
    for word in ("shop", "localhost:8000", "4/4 workers", "● live", "1m", "n 24,712"):
        assert word in first
    for word in ("rps", "err", "open", "p50", "p95", "p99", "nothing stands out", "GET /orders", "4124"):
        assert word in text
    for word in ("⏎ open", "/ filter", "s sort", "? help", "q quit"):
        assert word in last


@SIZES
def test_no_line_is_wider_than_the_screen(size: tuple[int, int]) -> None:
    """Whatever the size, the picture fills it exactly."""
    lines = look(FakeFeed(troubles=("blocked", "slo", "errors")), size=size).splitlines()
    assert size[1] == len(lines)
    assert max(cell_len(line) for line in lines) <= size[0]


def test_the_busiest_route_comes_first() -> None:
    """Routes are sorted by what they cost the service, and the heading says so."""
    lines = look(FakeFeed()).splitlines()
    heading = next(place for place, line in enumerate(lines) if "ROUTES ↓cost" in line)
    assert "›· GET /orders" in lines[heading + 1]


def test_a_blocked_worker_is_loud() -> None:
    """Sign, state word, time and place are told without a colour, above everything else."""
    lines = look(FakeFeed(troubles=("blocked",))).splitlines()
    notice = next(line for line in lines if "▲ blocked" in line)
    assert "app/reports.py:42 build_report" in notice
    assert "1.9 s" in notice
    row = next(line for line in lines if "4121" in line and "blocked" in line and "98%" in line)
    assert row.startswith("›▲ 4121")
    assert "1.90s" in row


def test_a_blocked_worker_stands_above_its_siblings() -> None:
    """Of 64 workers the one in trouble is in sight."""
    lines = look(FakeFeed(workers=64, troubles=("silent",))).splitlines()
    heading = next(place for place, line in enumerate(lines) if "WORKERS" in line)
    assert "▲ 4184" in lines[heading + 1]
    assert "silent" in lines[heading + 1]


def test_a_gone_worker_is_told_with_its_age() -> None:
    """It is missing in the coverage, has a sign of its own and no numbers."""
    text = look(FakeFeed(troubles=("gone",)), size=LARGE)
    assert "3/4 workers" in text
    row = next(line for line in text.splitlines() if "✗ 4124" in line)
    assert "gone" in row
    assert "for 38 s" in row
    assert "0%" not in row


def test_a_lost_link_freezes_the_picture_under_a_banner() -> None:
    """The header says for how long nothing was heard; the last picture stays."""
    text = look(FakeFeed(troubles=("stale",)))
    assert "stale 12 s" in text.splitlines()[0]
    assert "● live" not in text
    assert "GET /orders" in text


def test_before_the_first_frame_it_says_that_it_waits() -> None:
    """Nothing is made up before anything is known."""
    text = look(FakeFeed(troubles=("connecting",)))
    assert "○ connecting" in text
    assert "waiting for the first frame" in text
    assert "0ms" not in text


def test_a_service_without_traffic_has_no_numbers() -> None:
    """No request is told as such, and quantiles are dashes instead of zeros."""
    text = look(FakeFeed(troubles=("idle",)))
    assert "no request in the last 60 s" in text
    assert "p95      –" in text


def test_one_worker_is_enough() -> None:
    """A single process shows as one row."""
    text = look(FakeFeed(workers=1))
    assert "1/1 workers" in text
    assert "4121" in text
    assert "4122" not in text


def test_five_hundred_routes_are_a_page_and_a_count() -> None:
    """What can't be seen is counted in the heading; the last row can be reached."""
    feed = FakeFeed(names=many_routes(500))
    assert "of 500" in look(feed)
    assert "–500 of 500" in look(feed, "G")


def test_hostile_names_move_no_column() -> None:
    """Markup, escapes, wide and right-to-left characters and emoji in routes are text in their column."""
    names = [
        "[bold]x",
        "GET /\x1b[2Jclear",
        "GET /日本語",
        "GET /עברית",
        "GET /🎉👨‍👩‍👧",
        "GET /" + "y" * 400,
    ]
    lines = look(FakeFeed(names=tuple((name, 10.0, 5.0) for name in names))).splitlines()
    heading = next(place for place, line in enumerate(lines) if "ROUTES" in line)
    rows = [line for line in lines[heading + 1 :] if "0.0%" in line][: len(names)]
    assert len(names) == len(rows)
    assert len({cell_len(row[: row.index("0.0%")]) for row in rows}) == 1
    assert not any("\x1b" in line for line in lines)
    assert any("[bold]x" in row for row in rows)


def test_absurdly_long_names_leave_the_state_in_sight() -> None:
    """However long service and target are, coverage, state and window stay in the header."""

    class Long(FakeFeed):
        def summary(self, window_s: float, cursor: float | None = None) -> Summary:
            return replace(super().summary(window_s, cursor), service="s" * 300, target="t" * 300)

    first = look(Long()).splitlines()[0]
    assert "4/4 workers · ● live · 1m" in first
    assert "s…s" in first
    assert "t…t" in first


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (40, 12), (60, 15), (79, 23)])
def test_a_screen_too_small_is_cut_and_not_broken(size: tuple[int, int]) -> None:
    """Any size shows what it can."""
    text = look(FakeFeed(troubles=("blocked", "slo")), "j", "tab", size=size)
    assert len(text.split("\n")) == size[1]


def test_targets_are_told_in_the_header() -> None:
    """Each with whether it is met; a route that misses its own has a sign."""
    text = look(FakeFeed(troubles=("slo",)), size=LARGE)
    assert "p95<200ms ✗" in text
    assert "errors<1% ✓" in text
    assert "▲ GET /reports" in text


def test_a_long_target_is_cut_before_what_is_missed_goes() -> None:
    """Whoever typed it knows it; that the p95 is missed is what the screen is for."""

    class Far(FakeFeed):
        def summary(self, window_s: float, cursor: float | None = None) -> Summary:
            target = "https://shop.internal.example:8443/some/prefix"
            return replace(super().summary(window_s, cursor), target=target)

    first = look(Far(troubles=("slo",))).splitlines()[0]
    assert "p95<200ms ✗" in first
    assert "shop · http" in first
    assert "prefix · 4/4 workers · ● live · 1m" in first


def test_a_resize_reflows() -> None:
    """From large to small and back the same picture comes out as if it had been so from the start."""

    async def scene() -> None:
        async with opened(FakeFeed(), LARGE) as seen:
            large = seen.text()
            await seen.resize(*SMALL)
            small = seen.text()
            await seen.resize(*LARGE)
            await seen.repaint()
            assert large == seen.text()
            assert look_small == small

    look_small = look(FakeFeed())
    asyncio.run(scene())


def test_a_second_without_news_paints_nothing() -> None:
    """The same picture again marks no line of the screen for painting."""

    async def scene() -> list[object]:
        async with opened(FakeFeed()) as seen:
            regions: list[object] = []
            for widget in seen.app.screen.query("Lines"):
                widget.refresh = lambda *given, **_: regions.extend(given)  # type: ignore[method-assign,assignment]
            seen.app.repaint()
            return list(regions)

    assert asyncio.run(scene()) == []


def test_a_key_comes_between_the_steps_of_a_picture() -> None:
    """With many workers a picture takes a while: a key that is pressed meanwhile waits for a step."""
    steps = 50

    class Busy(FakeFeed):
        async def run(self, arrived: Callable[[WorkerId | None], None]) -> None:
            await asyncio.Event().wait()

        def summary_steps(self, window_s: float, cursor: float | None = None) -> Steps[Summary]:
            if moment[0] and not done:
                app.post_message(events.Key("w", "w"))
            for _ in range(steps):
                done.append(window_s)
                time.sleep(SLICE_S)
                yield
            return FakeFeed.summary(self, window_s, cursor)

    done: list[float] = []
    moment = [0.0]
    app = Dashboard(Busy(), depth="full", clock=lambda: moment[0])

    async def scene() -> None:
        async with app.run_test(size=SMALL) as pilot:
            app.repaint()
            await pilot.pause()
            done.clear()
            moment[0] += 2.0
            app._tick()
            for _ in range(500):
                if 300.0 in done:
                    break
                await pilot.pause(0.01)

    asyncio.run(scene())
    assert done[0] == 60.0
    # What the key does is there before the rest of what it came into.
    assert 0 < done.index(300.0) < steps


def test_a_summary_of_nothing_can_be_shown() -> None:
    """An empty summary is a picture too."""

    class Empty(FakeFeed):
        def summary(self, window_s: float, cursor: float | None = None) -> Summary:
            return Summary("pid:1", None, 0.0, window_s)

    assert "pid:1" in look(Empty())


@pytest.mark.parametrize("size", [(40, 10), (60, 15)])
def test_of_a_narrow_terminal_the_first_line_says_whose_picture_it_is(size: tuple[int, int]) -> None:
    """The target goes first, and leaves no dots between which nothing stands."""
    first = look(FakeFeed(), size=size).splitlines()[0]
    assert first.startswith(" shop")
    assert "·  ·" not in first
