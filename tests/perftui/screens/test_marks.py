"""A mark, and how things stand against it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from perftui.model.summary import Summary
from perftui.present.text.cells import Cell
from perftui.present.text.delta import Mark, delta_cell
from tests.perftui.findings.pictures import a_route, picture
from tests.perftui.screens.seen import LARGE, SMALL, Seen, look, opened
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_feed import FakeFeed
from tests.support.fake_figures import NOON
from tests.support.frames import T


def spread(middle_ms: float, count: int) -> list[float]:
    """Return so many latencies around one."""
    return [middle_ms * (0.5 + place / count) for place in range(count)]


def delta(before: Sequence[float] | None, after: Sequence[float]) -> Cell:
    """Return what stands beside the p95 of a route whose latencies were these."""
    route = a_route("GET /", after)
    mark = Mark(T, "12:00:00", picture(routes=[] if before is None else [a_route("GET /", before)]))
    change = mark.change(route, 60.0)
    return delta_cell(change, change.p95)


def test_what_is_more_than_chance_has_a_percentage() -> None:
    """Slower is loud with a plus, faster is good with a minus."""
    slower, faster = delta(spread(100, 1000), spread(150, 1000)), delta(spread(150, 1000), spread(100, 1000))
    assert (slower.style, faster.style) == ("high", "good")
    assert abs(int(slower.text.strip("+%")) - 50) <= 2
    assert abs(int(faster.text.strip("%")) + 33) <= 2
    assert delta(spread(10, 1000), spread(500, 1000)).text.startswith("×")


def test_noise_is_marked_as_noise() -> None:
    """Where the intervals of the two percentiles meet, no figure pretends to know better."""
    assert delta(spread(100, 400), spread(104, 400)) == Cell("≈", "faint")


def test_too_few_requests_tell_nothing() -> None:
    """Of fifty no p95 is bounded from above."""
    assert delta(spread(100, 50), spread(104, 500)) == Cell("~", "faint")


def test_a_route_that_was_not_there_is_new() -> None:
    """It has nothing to be held against."""
    assert delta(None, spread(100, 100)) == Cell("new", "medium")


def test_a_mark_is_set_and_differences_are_told_from_then_on() -> None:
    """`b` says what it did; the routes get a column, the head the moment, the charts a stroke."""
    assert "Δ p95" not in look(FakeFeed())
    moment = [NOON]

    async def scene(size: tuple[int, int]) -> Seen:
        moment[0] = NOON
        async with opened(FakeFeed(clock=lambda: moment[0]), size) as seen:
            await seen.press("b")
            moment[0] += 20
            await seen.repaint()
            text = seen.text()
            assert "ROUTES ↓cost Δ 12:00:00" in text
            assert "Δ p95" in text
            assert sum(line.count("│") for line in seen.lines()) >= 6
            return seen

    for size in (SMALL, LARGE):
        asyncio.run(scene(size))


def test_a_mark_can_be_moved() -> None:
    """`b` again marks another moment, in the past too."""
    text = look(FakeFeed(), "b", "left_square_bracket", "b")
    assert "marked 11:59:59" in text
    assert "Δ 11:59:59" in text


def test_a_mark_goes_with_the_window() -> None:
    """Over another window it is held against as much of the time before the mark."""
    text = look(FakeFeed(), "b", "w")
    assert "Δ 12:00:00" in text
    assert "≈" in text


def test_the_routes_view_and_the_route_tell_how_they_stand_against_the_mark() -> None:
    """In the view a column, in the route each of its figures in words."""
    moment = [NOON]

    async def scene() -> tuple[str, str]:
        async with opened(ShopFeed(clock=lambda: moment[0], change=_slower_after_noon), SMALL) as seen:
            await seen.press("b", "2")
            moment[0] += 20
            await seen.repaint()
            view = seen.text()
            await seen.press("enter")
            return view, seen.text()

    view, route = asyncio.run(scene())
    assert "Δ p95" in view
    assert "+100%" in view
    assert "since 12:00:00" in route
    assert "p50 +100%, was 100ms" in route
    assert "err noise" in route
    assert "rps" in route


def _slower_after_noon(summary: Summary) -> Summary:
    """Return a shop of one route that takes twice as long since noon."""
    latencies = [200.0 if summary.at > NOON else 100.0] * 2000
    return replace(summary, routes=(a_route("GET /orders", latencies),))


def test_a_mark_outlasts_the_history_it_was_made_from() -> None:
    """Over another window it is told as it was, when nothing is known of that time any more."""
    moment = [NOON]

    def forgetful(summary: Summary) -> Summary:
        if summary.at <= NOON and moment[0] > NOON:
            return replace(summary, routes=(), totals=replace(summary.totals, requests=0))
        return summary

    async def scene() -> str:
        async with opened(ShopFeed(clock=lambda: moment[0], change=forgetful), LARGE) as seen:
            await seen.press("b")
            moment[0] += 2000
            await seen.press("w", "2")
            return seen.text()

    text = asyncio.run(scene())
    assert "Δ p95" in text
    assert " new " not in text
