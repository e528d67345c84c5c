"""A mark, and how things stand against it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from perftui.model.summary import Latency, RouteSummary
from perftui.present.cells import Cell
from perftui.present.delta import delta_cell
from perftui_agent.sketch import LatencySketch
from tests.perftui.screens.seen import LARGE, SMALL, Seen, look, opened
from tests.support.fake_feed import NOON, FakeFeed


def route(*latencies_ms: float) -> RouteSummary:
    """Return a route with these latencies."""
    sketch = LatencySketch()
    for value in latencies_ms:
        sketch.add(int(value * 1e6))
    p95 = sketch.quantile(0.95)
    known = FakeFeed().summary(60.0).routes[0]
    latency = Latency(len(latencies_ms), None, p95 / 1e6 if p95 else None)
    return replace(known, requests=len(latencies_ms), latency=latency, sketch=sketch)


def spread(middle_ms: float, count: int) -> list[float]:
    return [middle_ms * (0.5 + place / count) for place in range(count)]


def test_what_is_more_than_chance_has_a_percentage() -> None:
    """Slower is loud with a plus, faster is good with a minus."""
    slower = delta_cell(route(*spread(100, 1000)), route(*spread(150, 1000)))
    faster = delta_cell(route(*spread(150, 1000)), route(*spread(100, 1000)))
    assert (slower.style, faster.style) == ("high", "good")
    assert (slower.text[0], slower.text[-1]) == ("+", "%")
    assert faster.text[0] == "-"


def test_noise_is_marked_as_noise() -> None:
    """Where the intervals of the two percentiles meet, no figure pretends to know better."""
    assert delta_cell(route(*spread(100, 40)), route(*spread(104, 40))) == Cell("≈", "faint")


def test_too_few_requests_tell_nothing() -> None:
    """Below 20 on either side there is no p95 to compare."""
    assert delta_cell(route(*spread(100, 19)), route(*spread(900, 500))) == Cell("~", "faint")


def test_a_route_that_was_not_there_is_new() -> None:
    """It has nothing to be held against."""
    assert delta_cell(None, route(*spread(100, 100))).text == "new"


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
