"""A worker's figures over time, in two columns: what it costs on the left, what it has to do on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.present.charts.drawing import Axis, area, scale_of
from perftui.present.tables.workers import gc_cell, lag_cell, lag_ms
from perftui.present.text.blocks import section
from perftui.present.text.cells import Cell, Line, beside, fit
from perftui.present.text.quantile import quantile_cell, to_the_right
from perftui.present.text.units import ms, percent, rate, short_count, size
from perftui.record import Record

_LABEL, _VALUE, _GAP = 9, 9, 2


class Chart(Record, frozen=True):
    """One figure: as it is now, and as it was."""

    label: str
    now: Cell
    history: Sequence[float | None]
    write: Callable[[float | None], str]
    floor: float
    """The least top of the scale: below it nothing is worth a mountain."""
    value: float | None
    """What `now` tells: a loop that is held has not yet been late for so long in its history."""


def over_time(summary: Summary, worker: WorkerSummary, width: int, height: int, note: str = "") -> list[Line]:
    """Return the charts, each `height` lines high; nothing where nothing is known over time."""
    moments = [point.at for point in summary.points]
    charts = _charts(worker, moments)
    if not any(value is not None for chart in charts for value in chart.history):
        return []
    left_width = width // 2
    lines = [section("OVER TIME", width, note)]
    for left, right in zip(charts[::2], charts[1::2], strict=True):
        sides = [
            _drawn(chart, Axis.over(moments, summary.window_s, room - _LABEL - _VALUE - _GAP - 1), height)
            for chart, room in ((left, left_width), (right, width - left_width))
        ]
        lines += [beside(one, left_width, other) for one, other in zip(*sides, strict=True)]
    return lines


def chart_height(room: int) -> int:
    """Return how high each chart may be if all of them have so many lines with their heading."""
    return min(max((room - 1) // 4, 1), 8)


def _charts(worker: WorkerSummary, moments: Sequence[float]) -> list[Chart]:
    trends, pool = worker.trends, worker.threadpool
    waiting = f" +{pool.waiting}" if pool and pool.waiting else ""
    threads = Cell(
        f"{pool.used}/{pool.total}{waiting}" if pool else ms(None), "medium" if waiting else "bright"
    )
    latency = quantile_cell(worker.latency, "p95", "bright")
    cpu = Cell(_percent(worker.cpu_percent), "bright")
    memory = _on(moments, worker.memory)
    return [
        Chart("cpu", cpu, trends.cpu_percent, _percent, 10.0, worker.cpu_percent),
        Chart("rps", Cell(rate(worker.rps), "bright"), trends.rps, rate, 1.0, worker.rps),
        Chart("memory", Cell(size(worker.rss_bytes), "bright"), memory, size, 1.0, worker.rss_bytes),
        Chart(
            "open",
            Cell(short_count(worker.in_flight), "bright"),
            trends.in_flight,
            short_count,
            4.0,
            worker.in_flight,
        ),
        Chart("lag p99", lag_cell(worker, "bright"), trends.lag_ms, ms, 1.0, lag_ms(worker)),
        Chart("threads", threads, trends.threads, short_count, 4.0, pool.used if pool else None),
        Chart("gc p99", gc_cell(worker, "bright"), trends.gc_ms, ms, 1.0, worker.gc_pause_p99_ms),
        Chart("p95", latency, worker.trend, ms, 1.0, worker.latency.p95_ms),
    ]


def _drawn(chart: Chart, axis: Axis, height: int) -> list[Line]:
    columns = axis.highest(chart.history) if chart.history else [None] * len(axis.slices)
    peak = max((value for value in (*columns, chart.value) if value is not None), default=None)
    if columns and peak is not None and peak not in columns:
        columns[-1] = peak  # it is so now, and not in the history yet
    heads: list[Line] = [(Cell(fit(f"  {chart.label}", _LABEL), "label"), to_the_right(chart.now, _VALUE))]
    if peak is not None:
        text = fit(f"peak {chart.write(peak)}", _LABEL + _VALUE, "right")
        heads.append((Cell(text, "faint"),))
    blank: Line = (Cell(" " * (_LABEL + _VALUE)),)
    drawing = area(columns, height, scale_of(columns, chart.floor))
    return [
        (*(heads[row] if row < len(heads) else blank), Cell(" " * _GAP), Cell(text, "chart"))
        for row, text in enumerate(drawing)
    ]


def _on(moments: Sequence[float], known: Sequence[tuple[float, int]]) -> list[float | None]:
    """Return what was known last at each of the moments."""
    values: list[float | None] = []
    place, last = 0, None
    for moment in moments:
        while place < len(known) and known[place][0] <= moment:
            last = float(known[place][1])
            place += 1
        values.append(last)
    return values


def _percent(value: float | None) -> str:
    return percent(None if value is None else value / 100)
