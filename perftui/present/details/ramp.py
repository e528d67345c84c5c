"""A ramp on one screen: its state in words, then rate, felt latency and how full all was, step by step.

All charts stand on one axis of steps, in the order in which they were sent, so that what filled up as the
latency left the ground stands right below it. Steps that were not kept up with have another colour and a ✗.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len

from perftui.model.ramp import RampCourse, RampStep, turned_down
from perftui.present.charts.drawing import area, scale_of
from perftui.present.text.blocks import section
from perftui.present.text.cells import Cell, Line, Style, clean, fit, fit_line
from perftui.present.text.statements import wrapped
from perftui.present.text.units import age, ms, percent, rate
from perftui.record import Record

LABEL = 14
VALUE = 9
LEAD = LABEL + VALUE + 2
"""Cells before a chart."""

WIDEST = 6
"""Cells of a step at most: fewer steps need no more room to be seen."""

FULL = 0.85
"""From here on a resource counts as used up."""

LEADS = 0.3
"""The fullest is pointed out from here on: below it none has anything to do with it."""

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

FELT = 5
"""Charts of rate and latency."""

MOST_ELSE = 3 + 4 + len(RESOURCES) + 2 + 2
"""Lines for the state, headings and axis, resources, and the rest."""

TIMES = (("database", "in database"), ("upstream", "in upstreams"))

PHASES = {
    "climb": "climbing",
    "narrow": "narrowing",
    "confirm-low": "second look",
    "confirm-high": "second look",
}

Take = Callable[[RampStep], "float | None"]


class _Row(Record, frozen=True):
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


def ramp_lines(course: RampCourse, at: float, width: int, height: int) -> list[Line]:
    """Return all of it: `at` is the present, `height` what can be seen at a time."""
    head = [*state_lines(course, at, width), *_gave_lines(course, width)]
    rows = _resources(course)
    # By what there may be: charts must not shrink as more becomes known.
    tall = max(min((height - MOST_ELSE) // FELT, 4), 1)
    columns = _columns(course, width)
    felt = _felt(course, tall)
    lines = [*head, section("RATE AND LATENCY", width, "a column a step; the figures are of the last")]
    for row in felt:
        lines += _drawn(row, course.seen, columns, width)
    lines += [_verdicts(course, columns, width), _axis(columns, width)]
    lines.append(section("HOW FULL", width, _leading(course)))
    for row in rows:
        lines += _drawn(row, course.seen, columns, width)
    if not rows:
        lines.append((Cell("  nothing is known yet: the first step has not been looked at", "dim"),))
    return [*lines, *_rest(course, width)]


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


def _said(text: str, style: Style, width: int) -> list[Line]:
    return [(Cell(fit(f" {line}", width), style),) for line in wrapped(clean(text), width - 2)]


MOST_TURNED_DOWN = 0.2
"""So many answers that are a 4xx say that what is sent is not what the service takes."""


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
    named = "the " + dict((*RESOURCES, *TIMES)).get(gave.kind, gave.kind.replace("-", " "))
    subject = f" {gave.subject}" if gave.subject and gave.subject not in gave.sentence else ""
    return f"{course.verdict}: {named}{subject} gave" + (f": {gave.sentence}" if gave.sentence else "")


def _going(course: RampCourse) -> str:
    if course.is_stopping:
        return "stopping: nothing more is sent, what is open is closed …"
    if course.now is None:
        if not course.steps:
            return "about to send the first step …"
        last = course.steps[-1]
        how = f"✗ {last.why}" if last.why else "✓ kept up"
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


def _gave_lines(course: RampCourse, width: int) -> list[Line]:
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
        lines += _indented("next", f"{limit.kind} {limit.subject}: {limit.sentence}", "text", width)
    if course.limits and course.limits[0].kind == "none":
        lines += _indented("why", course.limits[0].sentence, "text", width)
    return lines


def _indented(label: str, text: str, style: Style, width: int) -> list[Line]:
    room = max(width - 9, 10)
    return [
        (Cell(f" {label if not place else '':<6} ", "label"), Cell(line, style))
        for place, line in enumerate(wrapped(clean(text), room)[:3])
    ]


def _columns(course: RampCourse, width: int) -> list[tuple[int, RampStep]]:
    """Return the steps that fit, the last ones, each with its width; every step is as wide as the others."""
    room = max(width - LEAD - 1, 1)
    seen = course.seen
    if not seen:
        return []
    each = max(min(room // len(seen), WIDEST), 1)
    return [(each, step) for step in seen[-(room // each) :]]


def _felt(course: RampCourse, tall: int) -> list[_Row]:
    """Return what was offered and what was felt."""
    seen = course.seen
    last = seen[-1] if seen else None
    top = scale_of([step.rate for step in seen])
    bad = "high" if last is not None and last.why else "bright"

    def row(label: str, take: Take, write: Callable[[float | None], str], top: float) -> _Row:
        values = tuple(take(step) for step in seen)
        return _Row(
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


def _resources(course: RampCourse) -> list[_Row]:
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
        rows.append(_Row("locks", told, waited, scale_of(waited, 4.0), sign="▲" if gave == "lock" else " "))
    return rows


def _full(name: str, values: tuple[float | None, ...], told: str, leads: bool) -> _Row:
    if not leads:
        return _Row(name, told, values, 1.0)
    is_full = max((value for value in values if value is not None), default=0.0) >= FULL
    return _Row(
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


def _leading(course: RampCourse) -> str:
    """Return which resource leads, in words."""
    names = dict((*RESOURCES, *TIMES))
    if course.gave is not None:
        return f"▲ {names.get(course.gave.kind, course.gave.kind)} gave first"
    kind = _fullest(course)
    if not kind:
        return "the top of each chart is 100 %"
    step = next(step for step in reversed(course.seen) if step.used)
    return f"{names[kind]} leads, at {percent(step.used[kind])}"


def _drawn(
    row: _Row, seen: Sequence[RampStep], columns: Sequence[tuple[int, RampStep]], width: int
) -> list[Line]:
    values = row.values[len(seen) - len(columns) :]
    pictures = area(list(values), row.height, row.top)
    lines: list[Line] = []
    for place, picture in enumerate(pictures):
        is_last = place == row.height - 1
        lead = (
            Cell(f"{row.sign if is_last else ' '}{fit(row.label if is_last else '', LABEL - 1)}",
                 row.style if row.sign != " " else "label"),
            Cell(fit(row.value, VALUE, "right"), row.style) if is_last
            else Cell(fit(row.scale if not place else "", VALUE, "right"), "faint"),
            Cell("  "),
        )  # fmt: skip
        lines.append(fit_line((*lead, *_cells(picture, columns, row.chart)), width))
    return lines


def _cells(picture: str, columns: Sequence[tuple[int, RampStep]], style: Style) -> list[Cell]:
    """Return a line of a chart, neighbours of one style together."""
    cells: list[Cell] = []
    for char, (each, step) in zip(picture, columns, strict=True):
        look = "chart-high" if step.why else style
        text = char * each if each < 3 else f"{char * (each - 1)} "
        if cells and cells[-1].style == look:
            cells[-1] = Cell(cells[-1].text + text, look)
        else:
            cells.append(Cell(text, look))
    return cells


def _verdicts(course: RampCourse, columns: Sequence[tuple[int, RampStep]], width: int) -> Line:
    """Return which steps were kept up with."""
    kept = sum(step.kept_up for step in course.steps)
    cells = [
        Cell(f" {fit('kept up', LABEL - 1)}", "label"),
        Cell(fit(f"{kept}/{len(course.steps)}" if course.steps else percent(None), VALUE, "right"), "text"),
        Cell("  "),
    ]
    for place, (each, step) in enumerate(columns):
        is_now = course.now is not None and place == len(columns) - 1 and not step.why
        sign, style = ("…", "dim") if is_now else ("✓", "good") if step.kept_up else ("✗", "high")
        cells.append(Cell(fit(sign, each), style))
    return fit_line(cells, width)


def _axis(columns: Sequence[tuple[int, RampStep]], width: int) -> Line:
    """Return the rates below their steps, as many as stand apart, the last one always."""
    if not columns:
        return ()
    each = columns[0][0]
    line = [" "] * (each * len(columns) + 8)
    last = _short(columns[-1][1].rate)
    ends = each * (len(columns) - 1)
    free = 0
    for place, (_, step) in enumerate(columns):
        text = _short(step.rate)
        start = place * each
        if start >= free and (place == len(columns) - 1 or start + cell_len(text) < ends):
            line[start : start + len(text)] = text
            free = start + len(text) + 1
    if free <= ends:
        line[ends : ends + len(last)] = last
    lead = Cell(f" {fit('requests/s', LABEL + VALUE)}  "[: LEAD - 1] + " ", "dim")
    return fit_line((lead, Cell("".join(line).rstrip(), "dim")), width)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


def _rest(course: RampCourse, width: int) -> list[Line]:
    """Return what is worth knowing where there is room."""
    lines: list[Line] = []
    if course.law:
        lines += _indented("law", course.law, "dim", width)
    if course.requests:
        more = f" and {len(course.requests) - 3} more" if len(course.requests) > 3 else ""
        lines += _indented("sends", ", ".join(course.requests[:3]) + more, "dim", width)
    return lines
