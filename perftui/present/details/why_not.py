"""Why a route has no finding, as lines: each kind that can be told of a route, and how near it is."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.findings.why_not import Looked, why_not
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.present.text.blocks import section
from perftui.present.text.cells import Cell, Line, Style, fit, fit_line
from perftui.present.text.statements import wrapped
from perftui_agent.wire.parts import RouteLabel

KIND_WIDTH, NEAR_WIDTH = 24, 10

LEAST_WIDTH = 20
"""Of the figures, beside kind and share."""


def why_not_lines(route: RouteLabel, summary: Summary, findings: Sequence[Finding], width: int) -> list[Line]:
    """Return a section of them, what is found first, then the nearest; a sentence where nothing is known."""
    lines = [section(f"WHY NOT: WHAT IS LOOKED AT ON {route}", width)]
    looked = why_not(route, summary, findings)
    if not looked:
        return [*lines, (Cell("  no request of it in this window", "dim"),)]
    lines += [line for each in looked for line in _lines(each, width)]
    end = "  how much of each threshold is reached; all of them: perftui findings KIND"
    return [*lines, fit_line((Cell(end, "dim"),), width)]


def _lines(looked: Looked, width: int) -> list[Line]:
    """Return a kind, how near it is, and its figures, on as many lines as these take: they are the answer."""
    style: Style = "high" if looked.is_found else "medium" if looked.near >= 1.0 else "text"
    head: Line = (
        Cell(fit(f"  {looked.kind}", KIND_WIDTH), "accent"),
        Cell(fit(looked.how_near, NEAR_WIDTH - 2, "right"), style),
        Cell("  "),
    )
    figures = "; ".join([*looked.figures, *([looked.note] if looked.note else [])])
    lines = []
    for text in wrapped(figures, max(width - KIND_WIDTH - NEAR_WIDTH, LEAST_WIDTH)):
        lines.append(fit_line((*head, Cell(text, "dim")), width))
        head = (Cell(" " * (KIND_WIDTH + NEAR_WIDTH)),)
    return lines
