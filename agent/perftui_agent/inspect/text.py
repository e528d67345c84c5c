"""Text from another process, made safe to carry: printable, on one line, bounded."""

from __future__ import annotations


def printable(text: str, limit: int) -> str:
    """Return `text` without anything a terminal could obey, at most `limit` characters of it.

    Thread names and file names are whatever the app made them. What goes is what `str.isprintable`
    refuses: control characters, line breaks, bidi overrides, lone surrogates.
    """
    text = text[: 4 * limit]
    if not text.isprintable():
        text = "".join(character for character in text.replace("\t", " ") if character.isprintable())
    return text if len(text) <= limit else text[: limit - 1] + "…"
