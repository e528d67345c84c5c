"""How the latencies of a route lie, over time: one line per step, one column per stretch of latency."""

from __future__ import annotations

from perftui.model.summary import RouteSummary
from perftui.present.cells import Cell, Line, fit
from perftui.present.charts import histogram
from perftui.present.route_detail import latency_axis, section
from perftui.present.units import clock

SHADES = " ▁▂▃▄▅▆▇█"
_CLOCK = 11

MOST_STEPS = 12


def heat_lines(route: RouteSummary, width: int, most: int = MOST_STEPS, note: str = "") -> list[Line]:
    """Return the latencies of each step of time, the latest last; nothing when that isn't known."""
    steps = [step for step in route.steps if step.latency.count][-most:]
    if len(steps) < 2:
        return []
    ranges = list(route.sketch.ranges())
    if not ranges:
        return []
    room = (width - _CLOCK - 3) // 2 * 2
    low = max(ranges[0][0], 1000) / 1.25
    high = max(ranges[-1][1] * 1.25, low * 8)
    lines: list[Line] = [section("LATENCY OVER TIME", width, note or "each line by its own scale")]
    for step in steps:
        # Two cells a column: a step has few requests, and a line of single cells would be dust.
        columns = histogram(step.latency.ranges(), low, high, room // 2)
        top = max(columns) or 1.0
        text = "".join(2 * _shade(value / top) for value in columns)
        lines.append((Cell(fit(f"  {clock(step.at)}", _CLOCK), "dim"), Cell(text, "chart")))
    lines.append((Cell(" " * _CLOCK), Cell(latency_axis(low, high, room), "dim")))
    return lines


def _shade(part: float) -> str:
    if part <= 0:
        return " "
    return SHADES[min(max(round(part * 8), 1), 8)]
