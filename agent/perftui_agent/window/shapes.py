"""Statements without their values: what makes a million texts a few hundred rows.

Takes the text of a statement as it goes to the driver; gives its shape: literals and placeholders are
`?`, lists of any length `(…)`, comments are gone, whitespace is one space. Casts stay, since they are
part of how a statement is planned. No value survives: where it can't be told where a literal ends, the
shape ends there too.

All of it runs on the agent's thread (a text costs some 50 µs, once). The app's threads only look into
`ShapeTable.texts`, by the text's hash: no text is kept alive by it.
"""

from __future__ import annotations

import hashlib
import re
import weakref
from typing import Any

from perftui_agent.records import Shape, StatementText

MAX_SHAPES = 500
"""Distinct shapes in a worker's life; further ones share `(other)`."""

MAX_TEXTS = 2_048
"""Texts whose shape is remembered, in each of two generations: the older one is forgotten at a time."""

MAX_SHAPE_CHARACTERS = 2_000

MAX_NAME_CHARACTERS = 65
"""The longest name that a database takes, and its quotes: what is longer is a value."""

MAX_TEXT_CHARACTERS = 16_384
"""What is read of a text. Longer ones are inserts and lists, whose tails say nothing new."""

OTHER_SHAPES = "(other)"

_PART = re.compile(
    r"""
      (?P<gap>(?:\s++|--[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z))++)
    | (?P<text>[eEbBxXnN]?'(?:[^'\\]++|''|\\[^'])*+(?:'|(?P<unsure>\\|\Z))
        |\$(?P<tag>[^\W\d]\w*+|)\$(?:.*?\$(?P=tag)\$|(?P<unclosed>.*)))
    | (?P<value>\d[\w.]*+(?:(?<=[eE])[+-]\d++)?+|\.\d[\w.]*+
        |\?(?![?|&])|\$\d++|%\(\w++\)s|%s|(?<!:):[^\W\d]\w*+)
    | (?P<quoted>"(?:[^"]++|"")*+(?:"|\Z))
    | (?P<name>[^\W\d][\w$]*+|`[^`]*+(?:`|\Z)|\[[^\W\d][\w ]*+\])
    | (?P<sign>::|.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""Possessive throughout: no text makes it look twice at a character, but for an unclosed `$tag$`."""

_COMPARISONS = frozenset({"=", "<", ">", "!", "~", "LIKE", "ILIKE"})
"""What a double-quoted text follows when it is a value, as SQLite allows beside names."""

_BEFORE_A_SIGN = _COMPARISONS | frozenset(
    {"(", ",", "[", "+", "-", "*", "/", "AND", "OR", "WHEN", "THEN", "ELSE", "BETWEEN", "LIMIT", "OFFSET"}
)
"""After these a minus belongs to the number that follows."""

_VERBS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES", "TABLE"})
"""What a WITH can lead up to."""

_SAVEPOINT = re.compile(r"(sa_savepoint_)\d+")

_NO_ELEMENT = r"(?:\?|CAST\(NULL AS [\w ]+(?:\([?, ]*\))?\))"

_EMPTY_LIST = re.compile(
    # How SQLAlchemy writes an IN without elements.
    r"IN (?:\(…\) (?:AND|OR) \(\? !?= \?\)"  # noqa: S608 - read, never sent
    rf"|\(SELECT {_NO_ELEMENT}(?:, {_NO_ELEMENT})*(?: FROM \(SELECT \?(?:, \?)*\))? WHERE \? ?!= ?\?\))"
)


class ShapeTable:
    """The shapes of this worker's statements, and which texts have them."""

    def __init__(self) -> None:
        self.texts: dict[int, StatementText] = {}
        """By `hash(text)`; read on the app's threads, written on the agent's."""
        self.show_text = True
        """False with `PERFTUI_SQL_TEXT=off`: of a statement only the verb leaves the process."""
        self._older: dict[int, StatementText] = {}
        self._shapes: dict[str, Shape] = {}
        self._other = Shape(OTHER_SHAPES, OTHER_SHAPES, OTHER_SHAPES)

    def shape(self, fingerprint: str) -> Shape | None:
        """Return the shape that was given out under this fingerprint."""
        return self._shapes.get(fingerprint)

    def know(self, text: str, engine: Any = None, database: str = "") -> StatementText:
        """Return what is known of a text, and have the app's threads find it from now on.

        `engine` is the SQLAlchemy engine that ran it: it is remembered weakly.
        """
        key = hash(text)
        known = self.texts.get(key) or self._older.get(key) or self._read(text, engine, database)
        if len(self.texts) >= MAX_TEXTS:
            self._older = dict(self.texts)
            self.texts.clear()
        self.texts[key] = known
        return known

    def shown(self, shape: Shape) -> str:
        """Return what may be shown of a shape."""
        return shape.text if self.show_text else shape.verb

    def clear(self) -> None:
        """Forget everything."""
        self.texts.clear()
        self._older.clear()
        self._shapes.clear()

    def _read(self, text: str, engine: Any, database: str) -> StatementText:
        text = text[:MAX_TEXT_CHARACTERS]
        folded, verb, longest = fold(text, quotes_names=_quotes_names(engine))
        fingerprint = hashlib.blake2b(folded.encode(errors="replace"), digest_size=8).hexdigest()
        shape = self._shapes.get(fingerprint)
        if shape is None:
            if len(self._shapes) >= MAX_SHAPES:
                shape = self._other
            else:
                shape = Shape(fingerprint, _cut(folded), verb, example=text, database=database)
                shape.engine = weakref.ref(engine) if engine is not None else None
                self._shapes[fingerprint] = shape
        return StatementText(shape, compared=verb == "SELECT", many=longest > 1)


def fold(text: str, *, quotes_names: bool = True) -> tuple[str, str, int]:
    """Return a text's shape, its verb in upper case, and the length of its longest list.

    `quotes_names` is False where `"…"` is a value, as in MySQL.
    """
    parts = _fold_values(text, quotes_names)
    parts, longest = _fold_lists(parts)
    shape = "".join(parts).strip(" ;")
    return _EMPTY_LIST.sub("IN (…)", shape), _verb(parts), longest


def _fold_values(text: str, quotes_names: bool) -> list[str]:
    """Return the parts, each value as `?` and each gap as one space."""
    parts: list[str] = []
    before = ""
    signed = False
    for match in _PART.finditer(text):
        kind = match.lastgroup
        part = match[0]
        if kind == "gap":
            parts.append(" ")
            continue
        following = text[match.end() : match.end() + 1]
        if kind == "quoted" and _is_value(part, before, following, quotes_names):
            kind = "text"
        if kind in {"name", "sign", "quoted"}:
            signed = part == "-" and before in _BEFORE_A_SIGN
            parts.append(_SAVEPOINT.sub(r"\1?", part) if kind == "name" else part)
            before = part.upper()
            continue
        if signed and parts[-1] == "-":
            parts.pop()
        parts.append("?")
        before = "?"
        signed = False
        if match["unsure"] is not None or match["unclosed"] is not None:
            # `'a\'…`: whether that ends the text depends on the database. What follows may be its value.
            parts.append(" …")
            break
    return parts


def _is_value(part: str, before: str, following: str, quotes_names: bool) -> bool:
    """Tell a double-quoted value from a name."""
    if not quotes_names or len(part) > MAX_NAME_CHARACTERS or "\n" in part:
        return True
    return before in _COMPARISONS and following != "."


def _fold_lists(parts: list[str]) -> tuple[list[str], int]:
    """Return the parts with each list of values as `(…)`, and the length of the longest."""
    out: list[str] = []
    longest = 0
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
    return out, longest


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


def _cut(shape: str) -> str:
    return shape if len(shape) <= MAX_SHAPE_CHARACTERS else f"{shape[: MAX_SHAPE_CHARACTERS - 1]}…"


def _quotes_names(engine: Any) -> bool:
    """Say whether `"…"` is a name to this engine's database."""
    try:
        return bool(engine.dialect.identifier_preparer.initial_quote != "`")
    except AttributeError:
        return True
