"""The rows of a ramp's charts: what was offered and felt, and how full all was, step by step."""

from __future__ import annotations

from collections.abc import Callable

from perftui.model.ramp import RampCourse, RampStep
from perftui.present.charts.drawing import scale_of
from perftui.present.details.ramp_words import RESOURCES, TIMES
from perftui.present.text.cells import Style
from perftui.present.text.units import ms, percent, rate
from perftui.record import Record

FULL = 0.85
"""From here on a resource counts as used up."""

LEADS = 0.3
"""The fullest is pointed out from here on: below it none has anything to do with it."""

Take = Callable[[RampStep], "float | None"]


class Row(Record, frozen=True):
    """A chart with its label, and the figure of the last step."""

    label: str
    value: str
    values: tuple[float | None, ...]
    top: float
    style: Style = "text"
    chart: Style = "chart"
    height: int = 1
    sign: str = " "
    scale: str = ""
    """How its top reads, for a chart that is tall enough to have one."""


def felt_rows(course: RampCourse, tall: int) -> list[Row]:
    """Return what was offered and what was felt."""
    seen = course.seen
    last = seen[-1] if seen else None
    top = scale_of([step.rate for step in seen])
    bad = "high" if last is not None and last.why else "bright"

    def row(label: str, take: Take, write: Callable[[float | None], str], top: float) -> Row:
        values = tuple(take(step) for step in seen)
        return Row(
            label, write(values[-1] if values else None), values, top, bad, height=tall, scale=write(top)
        )

    def per_second(value: float | None) -> str:
        return f"{rate(value)}/s" if value is not None else rate(value)

    rows = [
        row("offered", lambda step: step.rate, per_second, top),
        row("answered", lambda step: step.answered, per_second, top),
    ]
    takes: tuple[tuple[str, Take], ...] = (
        ("p50", lambda step: step.p50_ms),
        ("p95", lambda step: step.p95_ms),
        ("p99", lambda step: step.p99_ms),
    )
    for label, take in takes:
        highest = scale_of([take(step) for step in seen], 1.0)
        rows.append(row(label, take, ms, highest))
    return rows


def resource_rows(course: RampCourse) -> list[Row]:
    """Return how full each resource was that anything is known of; the fullest one is pointed out."""
    seen = course.seen
    if not seen:
        return []
    gave = course.gave.kind if course.gave is not None else ""
    leads = gave or _fullest(course)
    rows = []
    for kind, name in RESOURCES:
        if any(kind in step.used for step in seen):
            values = tuple(step.used.get(kind) for step in seen)
            rows.append(_full(name, values, percent(values[-1]), kind == leads))
    for kind, name in TIMES:
        if any(kind in step.time_in for step in seen):
            values = tuple(step.time_in.get(kind) for step in seen)
            rows.append(_full(name, values, percent(values[-1]), kind == gave))
    if any(step.waited_for_locks for step in seen):
        waited = tuple(
            None if step.waited_for_locks is None else float(step.waited_for_locks) for step in seen
        )
        last = seen[-1].waited_for_locks
        told = f"{last} wait" if last is not None else percent(None)
        rows.append(Row("locks", told, waited, scale_of(waited, 4.0), sign="▲" if gave == "lock" else " "))
    return rows


def _full(name: str, values: tuple[float | None, ...], told: str, leads: bool) -> Row:
    if not leads:
        return Row(name, told, values, 1.0)
    is_full = max((value for value in values if value is not None), default=0.0) >= FULL
    return Row(
        name, told, values, 1.0, "high" if is_full else "bright", "chart-high" if is_full else "accent",
        sign="▲" if is_full else "›",
    )  # fmt: skip


def _fullest(course: RampCourse) -> str:
    """Return the resource that leads: that which is fullest now."""
    step = next((step for step in reversed(course.seen) if step.used), None)
    if step is None:
        return ""
    # Memory is full of the app, not of the load, until there is none left.
    used = {kind: share for kind, share in step.used.items() if kind != "memory" or share >= FULL}
    kind = max(used, key=lambda each: used[each], default="")
    return kind if used.get(kind, 0.0) >= LEADS else ""


def leading(course: RampCourse) -> str:
    """Return which resource leads, in words."""
    names = dict((*RESOURCES, *TIMES))
    if course.gave is not None:
        return f"▲ {names.get(course.gave.kind, course.gave.kind)} gave first"
    kind = _fullest(course)
    if not kind:
        return "the top of each chart is 100 %"
    step = next(step for step in reversed(course.seen) if step.used)
    return f"{names[kind]} leads, at {percent(step.used[kind])}"
