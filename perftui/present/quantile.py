"""Percentiles that say when they rest on too little: by a sign and by their style."""

from __future__ import annotations

from perftui.model.summary import Latency
from perftui.present.cells import Cell, Style, fit
from perftui.present.units import ms

ENOUGH = {"p50": 1, "p95": 20, "p99": 100}
"""From how many requests on a percentile is more than the slowest of them."""


def enough(latency: Latency, name: str) -> bool:
    """Tell whether there are so many requests that this percentile means something."""
    return latency.count >= ENOUGH[name]


def quantile(latency: Latency, name: str) -> str:
    """Return a percentile, with `~` before it if it rests on too few requests."""
    value = {"p50": latency.p50_ms, "p95": latency.p95_ms, "p99": latency.p99_ms}[name]
    return ms(value) if value is None or enough(latency, name) else f"~{ms(value)}"


def to_the_right(cell: Cell, width: int) -> Cell:
    """Return a cell of figures in a column of `width` cells."""
    return Cell(fit(cell.text, width, "right"), cell.style)


def quantile_cell(latency: Latency, name: str, style: Style = "text") -> Cell:
    """Return a percentile in `style`, dimmed if it rests on too few requests; what is bad stays loud."""
    return Cell(quantile(latency, name), style if style == "high" or enough(latency, name) else "faint")
