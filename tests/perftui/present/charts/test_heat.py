"""Latencies over time, one line per step."""

from __future__ import annotations

from dataclasses import replace

from perftui.model.measures import Step
from perftui.model.route_summary import RouteSummary
from perftui.present.charts.heat import heat_lines
from perftui.present.text.cells import text_of, width_of
from tests.perftui.findings.pictures import a_route
from tests.support.frames import T, sketch


def moving(*latencies_ms: float, requests: int = 40) -> RouteSummary:
    """Return a route whose latency was this in one step of five seconds after the other; 0: no request."""
    steps = tuple(
        Step(T + 5.0 * number, sketch([ms] * requests if ms else []))
        for number, ms in enumerate(latencies_ms, 1)
    )
    return replace(a_route("GET /", [ms for ms in latencies_ms if ms] * requests), steps=steps)


def test_each_line_has_its_own_p95_and_n() -> None:
    """So that the picture can be read in figures; too few are marked."""
    lines = [text_of(line) for line in heat_lines(moving(10.0, 300.0), 80)]
    assert lines[0].endswith("p95      n ")
    assert lines[1].endswith("10ms     40")
    assert lines[2].endswith("300ms     40")
    assert "~300ms" in text_of(heat_lines(moving(10.0, 300.0, requests=5), 80)[2])


def test_what_takes_longer_lies_further_to_the_right() -> None:
    """On one axis for all lines."""
    lines = [text_of(line)[11:-15] for line in heat_lines(moving(10.0, 300.0, 10.0), 80)[1:-1]]
    places = [line.index("█") for line in lines]
    assert places[0] == places[2] < places[1]


def test_fewer_lines_than_steps_show_the_whole_window() -> None:
    """Steps are put together; the latest stays the last, and what happened long ago is still there."""
    route = moving(300.0, *[10.0] * 11)
    lines = heat_lines(route, 80, most=4)
    assert len(lines) == 1 + 4 + 1
    assert text_of(lines[4]).endswith("10ms    120")
    assert "300ms    120" in text_of(lines[1])


def test_steps_without_a_request_are_left_out() -> None:
    """And one step alone is no movement."""
    assert len(heat_lines(moving(10.0, 0, 0, 300.0), 80)) == 1 + 2 + 1
    assert heat_lines(moving(10.0, 0, 0, 0), 80) == []


def test_lines_fit_the_screen() -> None:
    """None is wider."""
    for width in (40, 80, 120, 200):
        assert max(width_of(line) for line in heat_lines(moving(10.0, 300.0), width, note="GET /")) <= width
