"""How the latencies of a route lie, over time: one line per step, one column per stretch of latency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perftui.model.measures import Step
from perftui.model.quantiles import latency_of, together
from perftui.model.route_summary import RouteSummary
from perftui.present.charts.drawing import histogram
from perftui.present.charts.latency import latency_axis
from perftui.present.text.blocks import section
from perftui.present.text.cells import Cell, Line, fit
from perftui.present.text.quantile import quantile_cell, to_the_right
from perftui.present.text.units import clock, short_count

SHADES = " ▁▂▃▄▅▆▇█"
_CLOCK = 11
_FIGURES = 15
"""Cells for p95 and n at the end of each line."""
_COLUMN = 2
"""Cells a column: a step has few requests, and a line of single cells would be dust."""

MOST_STEPS = 12


def heat_lines(route: RouteSummary, width: int, most: int = MOST_STEPS, note: str = "") -> list[Line]:
    """Return the latencies of each step of time, the latest last; nothing when that isn't known."""
    steps = list(_together(route.steps, max(most, 1)))
    ranges = list(route.sketch.ranges())
    room = (width - _CLOCK - _FIGURES - 3) // _COLUMN * _COLUMN
    if len(steps) < 2 or not ranges or room < _COLUMN:
        return []
    low = max(ranges[0][0], 1000) / 1.25
    high = max(ranges[-1][1] * 1.25, low * 8)
    said = " · ".join(each for each in (note, "each line by its own scale") if each)
    titles = Cell(f"{'p95':>7}{'n':>7} ", "section")
    lines: list[Line] = [(*section("LATENCY OVER TIME", width - _FIGURES, said), titles)]
    for step in steps:
        columns = histogram(step.latency.ranges(), low, high, room // _COLUMN)
        top = max(columns) or 1.0
        text = "".join(_COLUMN * _shade(value / top) for value in columns)
        latency = latency_of(step.latency)
        lines.append(
            (
                Cell(fit(f"  {clock(step.at)}", _CLOCK), "dim"),
                Cell(fit(text, width - _CLOCK - _FIGURES), "chart"),
                to_the_right(quantile_cell(latency, "p95"), 7),
                Cell(f"{short_count(latency.count):>7}", "dim"),
            )
        )
    lines.append((Cell(" " * _CLOCK), Cell(latency_axis(low, high, room), "dim")))
    return lines


def _together(steps: Sequence[Step], most: int) -> Iterator[Step]:
    """Yield the steps in which something happened: all of the window in at most so many of them."""
    length = -(-len(steps) // most) or 1
    # Whole groups up to the latest: what is added to the window is added there.
    for end in range(len(steps) - (len(steps) - 1) // length * length, len(steps) + 1, length):
        group = steps[max(end - length, 0) : end]
        latency = together(step.latency for step in group)
        if latency.count:
            yield Step(group[-1].at, latency)


def _shade(part: float) -> str:
    if part <= 0:
        return " "
    return SHADES[min(max(round(part * 8), 1), 8)]
