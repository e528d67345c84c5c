"""What a statement's text is apart from its literals: two texts of one outline have one shape.

Only plain literals are taken out: numbers that stand alone, and texts in single quotes. Where it is not
certain at a glance what a quote begins (comments, names in quotes, backslashes, dollar quotes), the text is
its own outline.
"""

from __future__ import annotations

import re

_UNSURE = re.compile(r'["`\\$#\[]|--|/\*|\b[qQ]\'')
"""What may make of a single quote something else than the beginning or the end of a text."""

_LITERAL = re.compile(r"'[^']*'|\b\d+\b")


def outline_of(text: str) -> str:
    """Return `text` with each plain literal as one of its kind."""
    return text if _UNSURE.search(text) else _LITERAL.sub(_kind_of, text)


def _kind_of(literal: re.Match[str]) -> str:
    return "''" if literal[0][0] == "'" else "0"
