"""A ramp on one screen: its state in words, then rate, felt latency and how full all was, step by step.

All charts stand on one axis of steps, in the order in which they were sent, so that what filled up as the
latency left the ground stands right below it. Steps that were not kept up with have another colour and a ✗.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from perftui.model.ramp import RampCourse, RampStep
from perftui.present.charts.drawing import area
from perftui.present.details.ramp_rows import Row, felt_rows, leading, resource_rows
from perftui.present.details.ramp_words import RESOURCES, gave_lines, rest_lines, state_lines
from perftui.present.text.blocks import section
from perftui.present.text.cells import Cell, Line, Style, fit, fit_line
from perftui.present.text.units import percent

LABEL = 14
VALUE = 9
LEAD = LABEL + VALUE + 2
"""Cells before a chart."""

WIDEST = 6
"""Cells of a step at most: fewer steps need no more room to be seen."""

VERDICTS: Mapping[str, Style] = {"…": "dim", "✓": "good", "?": "dim", "✗": "high"}

FELT = 5
"""Charts of rate and latency."""

MOST_ELSE = 3 + 4 + len(RESOURCES) + 2 + 2
"""Lines for the state, headings and axis, resources, and the rest."""


def ramp_lines(course: RampCourse, at: float, width: int, height: int) -> list[Line]:
    """Return all of it: `at` is the present, `height` what can be seen at a time."""
    head = [*state_lines(course, at, width), *gave_lines(course, width)]
    rows = resource_rows(course)
    # By what there may be: charts must not shrink as more becomes known.
    tall = max(min((height - MOST_ELSE) // FELT, 4), 1)
    columns = _columns(course, width)
    felt = felt_rows(course, tall)
    lines = [*head, section("RATE AND LATENCY", width, "a column a step; the figures are of the last")]
    for row in felt:
        lines += _drawn(row, course.seen, columns, width)
    lines += [_verdicts(course, columns, width), _axis(columns, width)]
    lines.append(section("HOW FULL", width, leading(course)))
    for row in rows:
        lines += _drawn(row, course.seen, columns, width)
    if not rows:
        lines.append((Cell("  nothing is known yet: the first step has not been looked at", "dim"),))
    return [*lines, *rest_lines(course, width)]


def _drawn(
    row: Row, seen: Sequence[RampStep], columns: Sequence[tuple[int, RampStep]], width: int
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


def _columns(course: RampCourse, width: int) -> list[tuple[int, RampStep]]:
    """Return the steps that fit, the last ones, each with its width; every step is as wide as the others."""
    room = max(width - LEAD - 1, 1)
    seen = course.seen
    if not seen:
        return []
    each = max(min(room // len(seen), WIDEST), 1)
    return [(each, step) for step in seen[-(room // each) :]]


def _cells(picture: str, columns: Sequence[tuple[int, RampStep]], style: Style) -> list[Cell]:
    """Return a line of a chart, neighbours of one style together."""
    cells: list[Cell] = []
    for char, (each, step) in zip(picture, columns, strict=True):
        look: Style = "dim" if step.is_spoiled else "chart-high" if step.why else style
        text = char * each if each < 3 else f"{char * (each - 1)} "
        if cells and cells[-1].style == look:
            cells[-1] = Cell(cells[-1].text + text, look)
        else:
            cells.append(Cell(text, look))
    return cells


def _verdicts(course: RampCourse, columns: Sequence[tuple[int, RampStep]], width: int) -> Line:
    """Return which steps were kept up with."""
    kept = sum(step.kept_up for step in course.steps)
    known = sum(not step.is_spoiled for step in course.steps)
    cells = [
        Cell(f" {fit('kept up', LABEL - 1)}", "label"),
        Cell(fit(f"{kept}/{known}" if course.steps else percent(None), VALUE, "right"), "text"),
        Cell("  "),
    ]
    for place, (each, step) in enumerate(columns):
        is_now = course.now is not None and place == len(columns) - 1 and not step.why
        sign = "…" if is_now else step.sign
        cells.append(Cell(fit(sign, each), VERDICTS[sign]))
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
