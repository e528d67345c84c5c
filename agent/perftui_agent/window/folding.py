"""The text of a statement without its values: its shape.

Literals and placeholders are `?`, lists of any length `(…)`, comments are gone, whitespace is one space.
Casts stay, since they are part of how a statement is planned. No value survives: where it can't be told
where a literal ends, the shape ends there too. Reading a text costs some 50 µs.
"""

from __future__ import annotations

import re

from perftui_agent.records import CUT
from perftui_agent.window.values import Quotes, fold_values

_VERBS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES", "TABLE"})
"""What a WITH can lead up to."""

_REST_OF_LIST = re.compile(
    r"[^,]*,"  # the first element is cut as well
    r"(?:[\s,()?]|\$\d+|%\(\w+\)s|%s|::\w+(?:\ WITH(?:OUT)?\ TIME\ ZONE|\ PRECISION|\ VARYING)?(?:\[\])?"
    r"|:\w+|-?\d[\w.]*|(?:NULL|DEFAULT|TRUE|FALSE)\b)*",
    re.IGNORECASE,
)

_MAY_HIDE_VALUES = re.compile(r"['\"`#]|--|/\*|\$\w*\$")
"""Begun in the middle, these can't be told from what is between two of them."""

_NO_ELEMENT = r"(?:\?|CAST\(NULL AS [\w ]+(?:\([?, ]*\))?\))"

_EMPTY_LIST = re.compile(
    # How SQLAlchemy writes an IN without elements.
    r"IN (?:\(…\) (?:AND|OR) \(\? !?= \?\)"  # noqa: S608 - read, never sent
    rf"|\(SELECT {_NO_ELEMENT}(?:, {_NO_ELEMENT})*(?: FROM \(SELECT \?(?:, \?)*\))? WHERE \? ?!= ?\?\))"
)


_TRANSACTION = re.compile(
    r"(?:COMMIT|ROLLBACK|SAVEPOINT|RELEASE|ABORT|START TRANSACTION|PREPARE TRANSACTION|SAVE TRAN\w*"
    r"|XA (?:START|BEGIN|END|PREPARE|COMMIT|ROLLBACK))\b"
    # A block of PL/SQL begins so, too, and is work.
    r"|(?:BEGIN|END)\Z|(?:BEGIN|END) (?:WORK|TRAN|TRANSACTION)\b"
    r"|BEGIN (?:IMMEDIATE|EXCLUSIVE|DEFERRED|CONCURRENT|ISOLATION|READ)\b"
    r"|(?:RESET|PING|CLOSE|CHECKOUT|CHECKIN|ISOLATION LEVEL)\Z",  # steps that are no statements
    re.IGNORECASE,
)


def is_transaction(shape: str) -> bool:
    """Say whether a statement of this shape does nothing but begin, end or divide a transaction."""
    return _TRANSACTION.match(shape) is not None


def fold(text: str, quotes: Quotes = "unsure") -> tuple[str, str, int]:
    """Return a text's shape, its verb in upper case, and the length of its longest list.

    `quotes` says what `"…"` is to the database that it was sent to.
    """
    text, cut, end = text.partition(CUT)
    parts, longest, closers = _fold_lists(fold_values(text, quotes))
    if cut:
        parts += _fold_end(end, quotes, closers) if closers else [" …"]
    shape = "".join(parts).strip(" ;")
    return _EMPTY_LIST.sub("IN (…)", shape), _verb(parts), longest


def _fold_end(end: str, quotes: Quotes, closers: int) -> list[str]:
    """Return the parts of what follows the list within which a text was cut, and `end` begins.

    `closers` is how many parentheses end that list.
    """
    if _MAY_HIDE_VALUES.search(end):
        return [" …"]
    rest = _REST_OF_LIST.match(end)
    if rest is None:
        return [" …"]
    closed = rest[0].rstrip()
    beyond_the_list = len(closed) - len(closed.rstrip(")")) - closers
    parts, _, _ = _fold_lists(fold_values(end[rest.end() :], quotes))
    return [")" * beyond_the_list, " ", *parts]


def _fold_lists(parts: list[str]) -> tuple[list[str], int, int]:
    """Return the parts with each list of values as `(…)`, and the length of the longest.

    The last is how many parentheses it takes to end a list that the parts leave open; else 0.
    """
    out: list[str] = []
    longest = closers = 0
    at = 0
    while at < len(parts):
        part = parts[at]
        out.append(part)
        at += 1
        word = part.upper()
        if word not in {"IN", "VALUES", "ARRAY"}:
            continue
        begin = _after_gap(parts, at)
        if begin >= len(parts) or parts[begin] != ("[" if word == "ARRAY" else "("):
            continue
        if word == "IN" and _is_subquery(parts, begin + 1):
            continue
        at, length = _end_of_list(parts, begin)
        if word == "VALUES":
            at, length = _end_of_rows(parts, at)
        longest = max(longest, length)
        out.append("[…]" if word == "ARRAY" else " (…)")
        if at >= len(parts) and parts[-1] not in {")", "]"}:
            closers = 2 if word == "IN" and parts[_after_gap(parts, begin + 1)] == "(" else 1
    return out, longest, closers


def _after_gap(parts: list[str], at: int) -> int:
    return at + 1 if at < len(parts) and parts[at] == " " else at


def _is_subquery(parts: list[str], at: int) -> bool:
    at = _after_gap(parts, at)
    return at < len(parts) and parts[at].upper() in {"SELECT", "WITH"}


def _end_of_list(parts: list[str], begin: int) -> tuple[int, int]:
    """Return where the list that opens at `begin` is over, and its length; cut off, it is over there."""
    depth = 0
    length = 1
    for at in range(begin, len(parts)):
        part = parts[at]
        if part in {"(", "["}:
            depth += 1
        elif part in {")", "]"}:
            depth -= 1
            if depth == 0:
                return at + 1, length
        elif part == "," and depth == 1:
            length += 1
    return len(parts), length


def _end_of_rows(parts: list[str], at: int) -> tuple[int, int]:
    """Return where the rows of a VALUES are over and how many there are; the first ended at `at`."""
    rows = 1
    while (comma := _after_gap(parts, at)) < len(parts) and parts[comma] == ",":
        begin = _after_gap(parts, comma + 1)
        if begin < len(parts) and parts[begin] != "(":
            break
        at, _ = _end_of_list(parts, begin) if begin < len(parts) else (begin, 0)
        rows += 1
    return at, rows


def _verb(parts: list[str]) -> str:
    """Return the first word; of a WITH what it leads up to."""
    depth = 0
    first = ""
    for part in parts:
        if part == "(":
            depth += 1
        elif part == ")":
            depth -= 1
        elif part[:1].isalpha():
            word = part.upper()
            if not first:
                first = word
                if word != "WITH":
                    return word
            elif depth == 0 and word in _VERBS:
                return word
    return first
