"""What the doctor says, as text: a line for each check, its mend below, and how it ends."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from perftui.doctor.surroundings import Check, Surroundings
from perftui.present.text.cells import clean

SIGNS = {"ok": "✓", "note": "·", "wrong": "✗"}


def checks_text(place: Surroundings, checks: Sequence[Check], width: int) -> list[str]:
    """Return the lines: this host, then worker by worker, then the verdict."""
    column = max((len(check.name) for check in checks), default=0)
    lines = ["this host", *_lines([each for each in checks if each.worker is None], column, width)]
    for worker in place.workers:
        head = f"worker {worker.pid} of {clean(worker.service)}, Python {clean(worker.python) or 'unknown'}"
        lines += ["", head, *_lines([each for each in checks if each.worker == worker.pid], column, width)]
    wrong = sum(check.verdict == "wrong" for check in checks)
    notes = sum(check.verdict == "note" for check in checks)
    if wrong:
        told = f"{wrong} thing{'s stand' if wrong > 1 else ' stands'} in the way"
    else:
        told = "nothing stands in the way" + (f", {notes} worth knowing" if notes else "")
    return [*lines, "", told]


def _lines(checks: Sequence[Check], column: int, width: int) -> list[str]:
    lines = []
    indent = " " * (column + 4)
    for check in checks:
        lead = f"{SIGNS[check.verdict]} {check.name.ljust(column)}  "
        lines += _wrapped(clean(check.sentence), lead, indent, width)
        if check.mend:
            lines += _wrapped(clean(check.mend), f"{indent}→ ", f"{indent}  ", width)
    return lines


def _wrapped(text: str, lead: str, indent: str, width: int) -> list[str]:
    # A path or an option stays whole: who copies it gets what works.
    return textwrap.wrap(
        text,
        max(width, len(indent) + 30),
        initial_indent=lead,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
