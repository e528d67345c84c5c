"""Why a route has no finding, as lines: each kind that can be told of a route, and how near it is."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.findings.why_not import Looked, why_not
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.present.text.blocks import section
from perftui.present.text.cells import Cell, Line, fit, fit_line
from perftui_agent.wire.parts import RouteLabel

KIND_WIDTH, NEAR_WIDTH = 24, 18


def why_not_lines(route: RouteLabel, summary: Summary, findings: Sequence[Finding], width: int) -> list[Line]:
    """Return a section of them, what is found first, then the nearest; a sentence where nothing is known."""
    lines = [section(f"WHY NOT: WHAT IS LOOKED AT ON {route}", width, "thresholds: perftui findings KIND")]
    looked = why_not(route, summary, findings)
    if not looked:
        return [*lines, (Cell("  no request of it in this window", "dim"),)]
    return [*lines, *(fit_line(_cells(each), width) for each in looked)]


def _cells(looked: Looked) -> Line:
    style = "high" if looked.is_found else "medium" if looked.near >= 1.0 else "text"
    return (
        Cell(fit(f"  {looked.kind}", KIND_WIDTH), "accent"),
        Cell(fit(looked.sentence, NEAR_WIDTH), style),
        Cell("; ".join(looked.figures), "dim"),
    )
