"""How a database goes about a statement, as text and as the document that scripts read."""

from __future__ import annotations

from typing import Any

from perftui.model.plans import advice_on
from perftui.model.text import clean_text
from perftui.present.text.statements import whole
from perftui.present.text.units import ms
from perftui_agent.wire.explain import Explanation


def explain_document(explained: Explanation) -> dict[str, Any]:
    """Return the document; CONTRACT names its keys."""
    return {
        "fingerprint": explained.fingerprint,
        "statement": explained.statement,
        "database": explained.database,
        "plan": explained.plan,
        "verdicts": [
            {
                "kind": each.kind,
                "table": each.table,
                "columns": list(each.columns),
                "sentence": each.sentence,
            }
            for each in explained.verdicts
        ],
        "advice": advice_on(explained.missing, explained.verdicts, explained.kind),
        "kind": explained.kind,
        "pid": explained.pid,
        "run_ms": round(explained.run_ns / 1e6, 3),
        "missing": [
            {
                "table": each.table,
                "columns": list(each.columns),
                "create": each.create,
                "checked": each.checked or None,
            }
            for each in explained.missing
        ],
        "changed": explained.changed or None,
        "note": explained.note or None,
    }


def explain_text(explained: Explanation, width: int) -> list[str]:
    """Return the lines: the statement, what is to be said and done, then the plan."""
    lines = [clean_text(head_of(explained))]
    lines += [f"  {line}" for line in whole(clean_text(explained.statement), max(width - 2, 20))]
    lines.append("")
    for verdict in explained.verdicts:
        lines.append(clean_text(f"{sign_of(verdict.kind)} {verdict.kind}: {verdict.sentence}"))
    if not explained.verdicts:
        lines.append("✓ nothing to say against the plan")
    lines.append(clean_text(f"→ {advice_on(explained.missing, explained.verdicts, explained.kind)}"))
    lines += [clean_text(f"  {each.checked}") for each in explained.missing if each.checked]
    if explained.changed:
        lines.append(clean_text(f"the plan has changed: {explained.changed}"))
    if explained.note:
        lines.append(clean_text(explained.note))
    return [*lines, "", "PLAN", *(f"  {clean_text(line)}" for line in explained.plan)]


def head_of(explained: Explanation) -> str:
    """Return what was explained, and by which run: `shop.db · sqlite · by the slowest run, 310ms, …`."""
    database = explained.database or explained.kind
    slowest = f"by the values of the slowest run, {ms(explained.run_ns / 1e6)}"
    return f"{database} · {explained.kind} · {slowest}, worker {explained.pid}"


def sign_of(kind: str) -> str:
    """Return how bad a verdict is."""
    return {"scan": "▲", "search": "▲", "estimate": "△", "unusable-index": "△", "unused-index": "△"}.get(
        kind, "·"
    )
