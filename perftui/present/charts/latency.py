"""How latencies lie, on a logarithmic axis."""

from __future__ import annotations

import math

from perftui.findings.figures import plural
from perftui.model.route_summary import RouteSummary
from perftui.present.charts.drawing import area, histogram
from perftui.present.text.blocks import section
from perftui.present.text.cells import Cell, Line
from perftui.present.text.quantile import enough

_TICKS_MS = [factor * 10.0**power for power in range(-3, 7) for factor in (1, 2, 5)]


def latencies(route: RouteSummary, width: int, height: int) -> list[Line]:
    """Return how the latencies lie, on a logarithmic axis."""
    ranges = list(route.sketch.ranges())
    cells = _cells_a_column(route.latency.count, width - 4)
    room = (width - 4) // cells * cells
    if not ranges or room < cells:
        return []
    low = max(ranges[0][0], 1000) / 1.25
    high = max(ranges[-1][1] * 1.25, low * 8)
    columns = histogram(ranges, low, high, room // cells)
    lines: list[Line] = [section("LATENCY", width, f"{plural(route.latency.count, 'request')}, logarithmic")]
    drawing = area([value if value > 0 else None for value in columns], height, max(columns))
    lines += [(Cell("  "), Cell("".join(cells * char for char in text), "chart")) for text in drawing]
    lines.append((Cell("  "), Cell(latency_axis(low, high, room), "dim")))
    latency = route.latency
    marks = tuple(
        (name if enough(latency.count, name) else f"~{name}", value)
        for name, value in (("p50", latency.p50_ms), ("p95", latency.p95_ms), ("p99", latency.p99_ms))
    )
    lines.append((Cell("  "), Cell(_marks(marks, low, high, room), "accent")))
    return lines


def _cells_a_column(requests: int, room: int) -> int:
    """Return how wide a column is: with fewer requests in it, its height would be chance."""
    return min(max(math.ceil(room / (2 * math.sqrt(max(requests, 1)))), 1), 4)


def _position(value_ns: float, low: float, high: float, width: int) -> int:
    return int(math.log(max(value_ns, low) / low) / math.log(high / low) * width)


def latency_axis(low: float, high: float, width: int) -> str:
    """Return the axis: round latencies where they belong, as many as stand apart."""
    line = list("─" * width)
    free = 0
    for tick in _TICKS_MS:
        place = _position(tick * 1e6, low, high, width)
        text = f"┴{_tick(tick)}"
        if tick * 1e6 >= low and place >= free and place + len(text) <= width:
            line[place : place + len(text)] = text
            free = place + len(text) + 4
    return "".join(line)


def _tick(value_ms: float) -> str:
    if value_ms < 1:
        return f"{value_ms * 1000:g}µs"
    return f"{value_ms:g}ms" if value_ms < 1000 else f"{value_ms / 1000:g}s"


def _marks(marks: tuple[tuple[str, float | None], ...], low: float, high: float, width: int) -> str:
    """Return the quantiles below the axis; one that finds no room steps aside to the right."""
    line = [" "] * width
    free = 0
    for name, value in marks:
        if value is None:
            continue
        text = f"▴{name}"
        place = max(_position(value * 1e6, low, high, width), free)
        if place + len(text) <= width:
            line[place : place + len(text)] = text
            free = place + len(text) + 1
    return "".join(line)
