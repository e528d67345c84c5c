"""What each kind of finding goes by, as text and as a page: `python -m` this, and a file."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from perftui.findings.catalogue import CRITERIA
from perftui.findings.causes import PAIRS
from perftui.findings.criteria import At, Criteria

WIDTH = 100

_HEAD = """# Findings

What each kind of finding goes by, from the same constants that its rule compares with. A finding appears
where all of its conditions hold, and goes only below the lower threshold in brackets, so that it does not
flicker. It is ranked by its severity, then by what it costs those who use the service: how much longer their
requests take, by the second.

Written by `python -m perftui.present.documents.criteria docs/findings.md`.
"""


def criteria_document(criteria: Criteria) -> dict[str, Any]:
    """Return the document of one kind."""
    return {
        "kind": criteria.kind,
        "means": criteria.means,
        "subject": criteria.subject,
        "when": [_condition(each) for each in criteria.when],
        "medium": criteria.medium or None,
        "high": criteria.high or None,
        "never": criteria.never or None,
        "symptom_of": _causes(criteria.kind),
    }


def _condition(condition: At | str) -> dict[str, Any]:
    if isinstance(condition, str):
        return {"says": condition}
    bar = condition.bar
    return {"says": str(condition), "enter": bar.enter, "leave": bar.leave, "unit": condition.unit}


def _causes(kind: str) -> list[str]:
    return [pair.cause for pair in PAIRS if pair.symptom == kind]


def criteria_text(criteria: Criteria) -> list[str]:
    """Return what one kind goes by, for people."""
    lines = [f"{criteria.kind}: {criteria.means}", f"  subject   {criteria.subject}"]
    for name, texts in _parts(criteria):
        for number, text in enumerate(texts):
            label = f"  {name if not number else '':<10}"
            lines += textwrap.wrap(text, WIDTH, initial_indent=label, subsequent_indent=" " * 12)
    return lines


def overview() -> list[str]:
    """Return every kind with what it means, one a line."""
    width = max(map(len, CRITERIA))
    return [f"{kind:<{width}}  {criteria.means}" for kind, criteria in CRITERIA.items()]


def manual() -> str:
    """Return the page of the manual."""
    sections = [_HEAD]
    for criteria in filter(lambda each: each.when, CRITERIA.values()):
        lines = [f"## {criteria.kind}", "", f"{criteria.means[0].upper()}{criteria.means[1:]}.", ""]
        lines += [f"- **{name}**: {text}" for name, texts in _parts(criteria) for text in texts]
        lines.insert(4, f"- **subject**: {criteria.subject}")
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


def _parts(criteria: Criteria) -> Iterable[tuple[str, list[str]]]:
    yield "when", [str(each) for each in criteria.when]
    yield "medium", [criteria.medium] if criteria.medium else []
    yield "high", [criteria.high] if criteria.high else []
    yield "never", [criteria.never] if criteria.never else []
    causes = [f"{pair.cause}: {pair.why}" for pair in PAIRS if pair.symptom == criteria.kind]
    yield "silenced", [f"by {each}" for each in causes]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(manual(), encoding="utf-8")
