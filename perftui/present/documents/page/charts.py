"""Charts of a page as geometry: what a template draws as SVG.

x is in seconds from the beginning of the span, y in parts of a hundred from the top, so that a page can be
zoomed along time by moving the view alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from perftui.model.measures import Point
from perftui.model.summary import Summary
from perftui.present.text.units import ms, percent, rate, short_count
from perftui.record import Record

Write = Callable[[float | None], str]
"""How a value reads."""

HEADROOM = 1.08
"""How much higher than its highest value a chart is."""


class Series(Record, frozen=True):
    """One line of a chart."""

    name: str
    style: str
    """The class that colours it: `a`, `b` or `c`."""
    path: str
    """SVG path data; gaps are where nothing was measured."""
    values: tuple[float | None, ...]
    last: str
    most: str
    """Its last and its highest value, as they read."""


class Chart(Record, frozen=True):
    """One chart."""

    title: str
    unit: str
    """By which a value reads: `ms`, `ratio`, `count`."""
    top: float
    ticks: tuple[tuple[float, str], ...]
    """Where on the axis, and what it says there."""
    series: tuple[Series, ...]
    bound: float | None = None
    """Where the target lies, on the axis."""
    bound_text: str = ""


def charts(summary: Summary) -> list[Chart]:
    """Return the charts of a service over its window."""
    points = summary.points
    target = next(
        (each for each in summary.slo if each.scope == "all" and each.slo.startswith("p9") and each.bound),
        None,
    )
    wanted: tuple[tuple[str, str, Write, tuple[tuple[str, Callable[[Point], float | None]], ...]], ...] = (
        (
            "Latency as clients feel it",
            "ms",
            ms,
            (("p99", lambda p: p.p99_ms), ("p95", lambda p: p.p95_ms), ("p50", lambda p: p.p50_ms)),
        ),
        ("Requests a second", "count", rate, (("rps", lambda p: p.rps),)),
        ("Errors", "ratio", percent, (("share of 5xx", lambda p: p.error_rate),)),
        ("In flight", "count", short_count, (("requests", lambda p: p.in_flight),)),
    )
    made = []
    for place, (title, unit, write, figures) in enumerate(wanted):
        rows = [(name, [figure(point) for point in points]) for name, figure in figures]
        bound = (target.bound, target.slo) if place == 0 and target and target.bound else None
        made.append(chart(title, unit, write, rows, _times(points, summary), bound))
    return made


def chart(
    title: str,
    unit: str,
    write: Write,
    rows: Sequence[tuple[str, Sequence[float | None]]],
    times: Sequence[float],
    bound: tuple[float, str] | None = None,
) -> Chart:
    """Return a chart of `rows`, each a name and a value at each of `times` (seconds from the beginning)."""
    known = [value for _, values in rows for value in values if value is not None]
    top = _round_up(max([*known, bound[0] if bound else 0.0, 0.0]) * HEADROOM)
    if unit == "ratio":
        top = min(top, 1.0) if known and max(known) > 0 else 0.01

    def y(value: float) -> float:
        return 100.0 * (1.0 - min(value / top, 1.0))

    series = tuple(
        Series(
            name=name,
            style="abc"[place % 3],
            path=_path(times, values, y),
            values=tuple(values),
            last=write(next((value for value in reversed(values) if value is not None), None)),
            most=write(max((value for value in values if value is not None), default=None)),
        )
        for place, (name, values) in enumerate(rows)
    )
    ticks = (*[(y(top * part), write(top * part)) for part in (1.0, 0.5)], (100.0, "0"))
    return Chart(title, unit, top, ticks, series, y(bound[0]) if bound else None, bound[1] if bound else "")


def _times(points: Sequence[Point], summary: Summary) -> list[float]:
    first = summary.at - summary.window_s
    return [point.at - first for point in points]


def _path(times: Sequence[float], values: Sequence[float | None], y: Callable[[float], float]) -> str:
    parts: list[str] = []
    is_down = False
    for at, value in zip(times, values, strict=False):
        if value is None:
            is_down = False
            continue
        # A value with nothing on either side would be no line at all.
        parts.append(f"{'L' if is_down else 'M'}{at:.1f} {y(value):.1f}" + ("" if is_down else "h.01"))
        is_down = True
    return "".join(parts)


def _round_up(value: float) -> float:
    """Return the next number with which an axis may end: 1, 1.5, 2, 3, 5 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 1.5, 2, 3, 5, 8, 10) if power * step >= value)
