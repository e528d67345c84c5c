"""What a statement's text is apart from its literals, and which: texts of one outline have one shape.

Only plain literals are taken out: numbers that stand alone, and texts in single quotes. Where it is not
certain at a glance what a quote begins (comments, names in quotes, backslashes, dollar quotes), the text is
its own outline.
"""

from __future__ import annotations

import re

_UNSURE = re.compile(r'["`\\$#\[]|--|/\*|[qQ]\'')
"""What may make of a single quote something else than the beginning or the end of a text."""

_TEXT = re.compile(r"'[^']*'")
_NUMBER = re.compile(r"[0-9](?<!\w[0-9])[0-9]*(?!\w)")
"""Begins with what it looks for: with a look-behind first, searching took twice as long."""


_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|--[^\n]*", re.DOTALL)
"""Tools put a request's id there: no value of the statement's."""


def outline_of(text: str) -> str:
    """Return `text` with each plain literal as one of its kind."""
    if _UNSURE.search(text):
        return text
    outline = _TEXT.sub("''", text)
    # What two texts side by side leave, as in 'it''s', would be read as something else.
    return text if "'''" in outline else _NUMBER.sub("0", outline)


def hash_of_literals(text: str) -> int:
    """Return a hash of the literals in a text; 0 if there are none. It never leaves the process.

    Where quotes are unsure it is one of the whole text, comments and spaces aside.
    """
    if _UNSURE.search(text):
        text = _COMMENT.sub(" ", text)
        found = text.split() if "'" in text or _NUMBER.search(text) else []
    else:
        found = [*_TEXT.findall(text), *_NUMBER.findall(_TEXT.sub("", text))]
    return hash(tuple(found)) if found else 0
