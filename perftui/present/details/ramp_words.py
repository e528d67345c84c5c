"""A ramp in words: how it stands, what was found, what gave and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.model.ramp import RampCourse, RampLimit, RampStep, turned_down
from perftui.present.text.cells import Cell, Line, Style, clean, fit, fit_line
from perftui.present.text.statements import wrapped
from perftui.present.text.units import age, ms, percent, rate

RESOURCES = (
    ("loop", "event loop"),
    ("gil", "GIL"),
    ("cpu", "CPU"),
    ("quota", "CPU quota"),
    ("threadpool", "threadpool"),
    ("pool", "pool"),
    ("client-pool", "client pool"),
    ("accept-queue", "accept queue"),
    ("memory", "memory"),
)
"""What can be full, and how it is called here."""

TIMES = (("database", "in database"), ("upstream", "in upstreams"))

PHASES = {
    "climb": "climbing",
    "narrow": "narrowing",
    "confirm-low": "second look",
    "confirm-high": "second look",
}

MOST_TURNED_DOWN = 0.2
"""So many answers that are a 4xx say that what is sent is not what the service takes."""


def state_lines(course: RampCourse, at: float, width: int) -> list[Line]:
    """Return how it stands, in words: the first thing one sees."""
    if course.is_over:
        style = "alarm" if course.gave is not None else "notice"
        return _said(verdict_of(course), style, width)
    # One line, however long: what stands below must not jump with each step.
    style = "alarm" if course.now is not None and course.now.step.why else "focus-sorted"
    lines: list[Line] = [(Cell(fit(f" {clean(_going(course))}", width), style),)]
    must = ", ".join(map(clean, course.targets)) or "no more than three times the latency of the first steps"
    timed = f"{age(max(at - course.began_at, 0.0))} of at most {age(course.longest_s)}"
    second = f" up to {rate(course.most_rps)}/s · {timed} · must hold: {must}"
    return [*lines, fit_line((Cell(second, "dim"),), width)]


def gave_lines(course: RampCourse, width: int) -> list[Line]:
    """Return the mend, and what would give next."""
    lines: list[Line] = []
    if doubt := doubt_of(course.steps):
        lines += _indented("△", doubt, "medium", width)
    if not course.is_over:
        return lines
    gave = course.gave
    if gave is not None and gave.advice:
        then = f": some {rate(gave.then_rps)}/s, an estimate" if gave.then_rps is not None else ""
        lines += _indented("mend", f"{gave.advice}{then}", "bright", width)
    if (limit := course.following) is not None:
        lines += _indented("next", named(limit), "text", width)
    if course.limits and course.limits[0].kind == "none":
        lines += _indented("why", course.limits[0].sentence, "text", width)
    return lines


def rest_lines(course: RampCourse, width: int) -> list[Line]:
    """Return what is worth knowing where there is room."""
    lines: list[Line] = []
    if course.law:
        lines += _indented("law", course.law, "dim", width)
    if course.requests:
        more = f" and {len(course.requests) - 3} more" if len(course.requests) > 3 else ""
        lines += _indented("sends", ", ".join(course.requests[:3]) + more, "dim", width)
    return lines


def named(limit: RampLimit) -> str:
    """Return what gives next, with its figures."""
    subject = f" {limit.subject}" if limit.subject else ""
    return f"{limit.kind}{subject}: {limit.sentence}"


def doubt_of(steps: Sequence[RampStep]) -> str:
    """Return why the figures may not be those that were meant; empty if nothing speaks for it."""
    part = turned_down(steps)
    if part < MOST_TURNED_DOWN:
        return ""
    return f"{percent(part)} of the answers were a 4xx: is what is sent what the service takes?"


def verdict_of(course: RampCourse) -> str:
    """Return what was found, and what gave."""
    gave = course.gave
    if gave is None:
        return course.verdict
    named = "the " + dict(RESOURCES).get(gave.kind, gave.kind.replace("-", " "))
    subject = f" {gave.subject}" if gave.subject and gave.subject not in gave.sentence else ""
    return f"{course.verdict}: {named}{subject} gave" + (f": {gave.sentence}" if gave.sentence else "")


def _going(course: RampCourse) -> str:
    if course.is_stopping:
        return "stopping: nothing more is sent, what is open is closed …"
    if course.now is None:
        if not course.steps:
            return "about to send the first step …"
        last = course.steps[-1]
        how = f"{last.sign} {last.why or 'kept up'}"
        rests = "; the service comes to rest" if last.why else ""
        return f"step {len(course.steps)} is over: {rate(last.rate)}/s, p95 {ms(last.p95_ms)}, {how}{rests}"
    now = course.now
    step, number = now.step, len(course.steps) + 1
    begin = f"step {number}, {PHASES.get(now.phase, now.phase)}: {rate(step.rate)}/s offered"
    if now.is_warm:
        return f"{begin}, warming up"
    how = f"✗ {step.why}" if step.why else "holding"
    failed = f", {step.errors} failed" if step.errors else ""
    answered = f"; {rate(step.answered)}/s answered" if step.answered is not None else ""
    return f"{begin}, p95 {ms(step.p95_ms)}, {how}{answered}{failed}"


def _said(text: str, style: Style, width: int) -> list[Line]:
    return [(Cell(fit(f" {line}", width), style),) for line in wrapped(clean(text), width - 2)]


def _indented(label: str, text: str, style: Style, width: int) -> list[Line]:
    room = max(width - 9, 10)
    return [
        (Cell(f" {label if not place else '':<6} ", "label"), Cell(line, style))
        for place, line in enumerate(wrapped(clean(text), room)[:3])
    ]
