"""What `perftui check` says: the document for scripts, and the text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from perftui.check.judge import Judged, Verdict, overall, unit_text
from perftui.findings.figures import plural
from perftui.model.summary import Summary
from perftui.present.documents.table import Column, table
from perftui.present.text.cells import clean

WIDTH = 100

SIGNS: dict[Verdict, str] = {"met": "✓ met", "missed": "✗ missed", "undecided": "? undecided"}

_COLUMNS = (
    Column("verdict"),
    Column("of"),
    Column("target"),
    Column("value", right=True),
    Column("true value"),
    Column("n", right=True),
)


def verdicts_document(summary: Summary, judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the document of CONTRACT.md: values and bounds in ms, bytes, ratios or plain numbers."""
    return {
        "schema": 1,
        "verdict": overall(judged),
        "target": summary.target,
        "service": summary.service,
        "window_s": round(summary.window_s, 3),
        "requests": summary.totals.requests,
        "targets": [_row(each) for each in judged],
    }


def _row(judged: Judged) -> dict[str, Any]:
    objective = judged.objective
    low, high = judged.interval
    return {
        "slo": objective.slo,
        "scope": objective.scope,
        "value": _rounded(judged.value),
        "bound": _rounded(objective.bound),
        "n": judged.n,
        "verdict": judged.verdict,
        "interval": [_rounded(low), _rounded(high)],
        "needs": judged.needs,
        "note": judged.note,
        "cause": judged.cause,
        "next": judged.next,
        "from": objective.source,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def verdicts_text(summary: Summary, judged: Sequence[Judged]) -> list[str]:
    """Return a table of all targets, below it what is missed and why, and the verdict."""
    lines = table(_COLUMNS, [_cells(each) for each in judged])
    for each in judged:
        if each.verdict != "met":
            lines += ["", *_reasons(each)]
    number = {verdict: sum(each.verdict == verdict for each in judged) for verdict in SIGNS}
    counted = ", ".join(f"{count} {verdict}" for verdict, count in number.items() if count)
    seen = f"{plural(summary.totals.requests, 'request')} in {summary.window_s:.0f} s"
    return [*lines, "", f"{overall(judged)}: {counted or 'nothing to judge'}; {seen}"]


def _cells(judged: Judged) -> tuple[str, ...]:
    objective = judged.objective
    low, high = (unit_text(objective, each) for each in judged.interval)
    exact = judged.interval[0] is not None and judged.interval[0] == judged.interval[1]
    return (
        SIGNS[judged.verdict],
        objective.scope,
        objective.slo,
        unit_text(objective, judged.value) if judged.value is not None else "–",
        "as counted" if exact else "–" if judged.value is None else f"{low} … {high}",
        f"{judged.n:,}",
    )


def _reasons(judged: Judged) -> list[str]:
    objective = judged.objective
    head = f"{SIGNS[judged.verdict]}  {objective}"
    value = "" if judged.value is None else f": {unit_text(objective, judged.value)}"
    lines = [clean(head + value)]
    for name, text in (("why", judged.note or judged.cause), ("next", judged.next)):
        if text:
            lines += textwrap.wrap(
                clean(text),
                WIDTH,
                initial_indent=f"    {name:<5}",
                subsequent_indent=" " * 9,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return lines
