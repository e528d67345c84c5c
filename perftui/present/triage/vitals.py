"""The service in six numbers, each with its last minutes: what is seen first."""

from __future__ import annotations

from collections.abc import Callable

from perftui.model.measures import Point
from perftui.model.summary import Summary
from perftui.present.charts.drawing import Axis, area, column_of, round_up
from perftui.present.text.cells import Cell, Line, Style, beside, fit
from perftui.present.text.quantile import ENOUGH, quantile_cell, to_the_right
from perftui.present.text.signs import missed
from perftui.present.text.units import ms, percent, rate, short_count
from perftui.record import Record

_LABEL = 5
_VALUE = 7
_SIGN = 2

LEAD = _LABEL + _VALUE + _SIGN
"""Cells before a chart."""


class Vital(Record, frozen=True):
    """One number, how to draw its history, and which target it may miss."""

    label: str
    metric: str
    now: Callable[[Summary], float | None]
    then: Callable[[Point], float | None]
    write: Callable[[float | None], str]
    peaks: bool
    """Whether a column of the chart shows the highest value, or the mean."""
    floor: float
    """The least top of the scale: below it nothing is worth a mountain."""


VITALS = (
    Vital("rps", "rps", lambda s: s.totals.rps, lambda p: p.rps, rate, False, 1.0),
    Vital("err", "errors", lambda s: s.totals.error_rate, lambda p: p.error_rate, percent, False, 0.01),
    Vital("open", "open", lambda s: s.totals.in_flight, lambda p: p.in_flight, short_count, True, 4.0),
    Vital("p50", "p50", lambda s: s.totals.latency.p50_ms, lambda p: p.p50_ms, ms, True, 1.0),
    Vital("p95", "p95", lambda s: s.totals.latency.p95_ms, lambda p: p.p95_ms, ms, True, 1.0),
    Vital("p99", "p99", lambda s: s.totals.latency.p99_ms, lambda p: p.p99_ms, ms, True, 1.0),
)
"""The left column, then the right one."""


def vitals_lines(
    summary: Summary, width: int, chart_height: int, marked_at: float | None = None
) -> list[Line]:
    """Return three rows of two charts, each `chart_height` lines high, with a stroke where a mark is."""
    left_width = width // 2
    right_width = width - left_width
    missing = missed(summary, "all")
    moments = [point.at for point in summary.points]
    lines: list[Line] = []
    strokes = {
        side: column_of(marked_at, moments, summary.window_s, chart_width(side))
        for side in (left_width, right_width)
    }
    axes = {
        side: Axis.over(moments, summary.window_s, chart_width(side)) for side in (left_width, right_width)
    }
    for left, right in zip(VITALS[:3], VITALS[3:], strict=True):
        left_lines = _vital(
            left, summary, axes[left_width], chart_height, left.metric in missing, strokes[left_width]
        )
        right_lines = _vital(
            right, summary, axes[right_width], chart_height, right.metric in missing, strokes[right_width]
        )
        lines += [beside(one, left_width, other) for one, other in zip(left_lines, right_lines, strict=True)]
    return lines


def chart_width(side: int) -> int:
    """Return the width of a chart in a column of the block."""
    return side - LEAD - 1


def _vital(
    vital: Vital, summary: Summary, axis: Axis, height: int, misses: bool, stroke: int | None
) -> list[Line]:
    history = [vital.then(point) for point in summary.points]
    columns = axis.highest(history) if vital.peaks else axis.mean(history)
    # The present is part of what there was, also where it is not in the chart yet.
    peak = max((value for value in (*columns, vital.now(summary)) if value is not None), default=None)
    drawing = area(columns, height, round_up(max(peak or 0.0, vital.floor)))
    lines: list[Line] = []
    for row, text in enumerate(drawing):
        label: Line = (Cell(" " * (_LABEL - 1 + _VALUE + _SIGN)),)
        if row == 0:
            label = (
                Cell(fit(vital.label, _LABEL - 1, "right"), "label"),
                _value(vital, summary, misses),
                Cell(" ▲" if misses else "  ", "high"),
            )
        elif row == 1 and peak is not None:
            label = (
                Cell(fit(f"peak {vital.write(peak)}", _LABEL - 1 + _VALUE, "right"), "faint"),
                Cell("  "),
            )
        lines.append((*label, Cell(" "), *_stroked(text, stroke, "chart-high" if misses else "chart")))
    return lines


def _stroked(text: str, stroke: int | None, style: Style) -> Line:
    """Return a line of a chart with the stroke of a mark."""
    if stroke is None:
        return (Cell(text, style),)
    return (Cell(text[:stroke], style), Cell("│", "accent"), Cell(text[stroke + 1 :], style))


def _value(vital: Vital, summary: Summary, misses: bool) -> Cell:
    style = "high" if misses else "bright"
    if vital.label in ENOUGH:
        return to_the_right(quantile_cell(summary.totals.latency, vital.label, style), _VALUE)
    value = vital.now(summary)
    return Cell(fit(vital.write(value), _VALUE, "right"), "faint" if value is None else style)
