"""How a database goes about a statement, as a screen: what is to be said and done, then the plan."""

from __future__ import annotations

from perftui.model.plans import advice_on
from perftui.present.text.blocks import section
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit_line
from perftui.present.text.statements import whole, wrapped
from perftui.present.text.units import ms
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.explain import Explanation, Verdict

_WORRIES = frozenset({"scan", "search"})
_DOUBTS = frozenset({"estimate", "unusable-index", "unused-index", "sort"})


def explain_lines(explained: Explanation, width: int) -> list[Line]:
    """Return all lines of the screen."""
    lines: list[Line] = [
        (Cell("  "), Cell(line, "source")) for line in whole(clean(explained.statement), width - 4)
    ]
    run = f"by the slowest run, {ms(explained.run_ns / 1e6)}"
    lines.append(section("WHAT IT MEANS", width, f"{clean(explained.database)} · {run}"))
    for verdict in explained.verdicts:
        lines += _verdict(verdict, width)
    if not explained.verdicts:
        lines.append((Cell("  nothing to say against the plan", "good"),))
    advice = clean(advice_on(explained.missing, explained.verdicts, explained.kind))
    lines += _wrapped("  → ", advice, "bright", width)
    for missing in explained.missing:
        if missing.checked:
            lines.append(fit_line((Cell(f"    {clean(missing.checked)}", "dim"),), width))
    if explained.changed:
        lines += _wrapped("  ~ ", f"the plan has changed: {clean(explained.changed)}", "medium", width)
    if explained.note:
        lines += _wrapped("    ", clean(explained.note), "label", width)
    lines += [BLANK, section("PLAN", width, "estimates, without values")]
    lines += [fit_line((Cell(f"  {clean(line)}", "text"),), width) for line in explained.plan]
    return lines


def waiting_lines(width: int) -> list[Line]:
    """Return what there is to say while the database is asked."""
    return [
        BLANK,
        fit_line((Cell("  ○ ", "medium"), Cell("asking the database for the plan …", "text")), width),
    ]


def refused_lines(refusal: Refusal, width: int) -> list[Line]:
    """Return why there is no plan, and what to do."""
    return [
        BLANK,
        *_wrapped("  ✗ ", clean(refusal.reason), "bright", width),
        *_wrapped("    ", clean(refusal.advice), "label", width),
    ]


def _verdict(verdict: Verdict, width: int) -> list[Line]:
    if verdict.kind in _WORRIES:
        return _wrapped("▲ ", clean(verdict.sentence), "high", width)
    if verdict.kind in _DOUBTS:
        return _wrapped("△ ", clean(verdict.sentence), "medium", width)
    return _wrapped("· ", clean(verdict.sentence), "text", width)


def _wrapped(head: str, text: str, style: Style, width: int) -> list[Line]:
    """Return a text on as many lines as it takes."""
    lines = wrapped(text, max(width - len(head) - 1, 10)) if text else []
    return [
        fit_line((Cell(head if not place else " " * len(head), style), Cell(line, style)), width)
        for place, line in enumerate(lines)
    ]
