"""Percentiles that say when they rest on too little: by a sign and by their style."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from perftui.model.measures import Latency
from perftui.present.text.cells import Cell, Style, fit
from perftui.present.text.units import ms

Write: TypeAlias = Callable[[float | None], str]
"""How a value reads: `units.ms`, `units.size`."""

ENOUGH = {"p50": 1, "p95": 20, "p99": 100}
"""From how many values on a percentile is more than the largest of them."""


def enough(count: int | None, name: str) -> bool:
    """Tell whether this percentile of so many means something; None: as many as one likes."""
    return count is None or count >= ENOUGH[name]


def marked(value: float | None, count: int | None, name: str, write: Write = ms) -> str:
    """Return a percentile of so many values, with `~` before it if they are too few."""
    return write(value) if value is None or enough(count, name) else f"~{write(value)}"


def marked_cell(
    value: float | None, count: int | None, name: str, style: Style = "text", write: Write = ms
) -> Cell:
    """Return a percentile in `style`, dimmed if it rests on too few values; what is bad stays loud."""
    loud = style == "high" or enough(count, name)
    return Cell(marked(value, count, name, write), style if loud else "faint")


def quantile(latency: Latency, name: str) -> str:
    """Return a percentile of latencies, with `~` before it if it rests on too few requests."""
    return marked(_value(latency, name), latency.count, name)


def quantile_cell(latency: Latency, name: str, style: Style = "text") -> Cell:
    """Return a percentile of latencies in `style`, dimmed if it rests on too few requests."""
    return marked_cell(_value(latency, name), latency.count, name, style)


def to_the_right(cell: Cell, width: int) -> Cell:
    """Return a cell of figures in a column of `width` cells."""
    return Cell(fit(cell.text, width, "right"), cell.style)


def _value(latency: Latency, name: str) -> float | None:
    return {"p50": latency.p50_ms, "p95": latency.p95_ms, "p99": latency.p99_ms}[name]
