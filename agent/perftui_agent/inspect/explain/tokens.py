"""A statement, or a condition of a plan, as tokens; and what of it may leave the process.

Reads what SQLite was sent and what PostgreSQL's plans say. A value is any text, number or placeholder;
what can't be read ends the tokens, and nothing behind it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["word", "quoted", "value", "bind", "sign"]

MAX_TOKENS = 20_000

_TOKEN = re.compile(
    r"""
    (?P<gap>(?:\s|--[^\n]*|/\*.*?(?:\*/|\Z))+)
    | (?P<value>[eE]'(?:[^'\\]|''|\\.)*'|[xXbBnN]?'(?:[^']|'')*'|\$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$
        |\d[\w.]*[eE][+-]\d+|\d[\w.]*|\.\d\w*)
    | (?P<bind>\?\d*|\$\d+|%\(\w+\)s|%s|(?<!:)[:@$][^\W\d]\w*)
    | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\W\d][\w ]*\])
    | (?P<word>[^\W\d][\w$]*)
    | (?P<sign>::|->>|->|<=|>=|<>|!=|==|\|\||!~~\*|!~~|~~\*|~~|[^\w'"])
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A part of a statement, and where in it that stands."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """A keyword or a sign, in upper case; of what is quoted nothing."""
        return self.text.upper() if self.kind in {"word", "sign"} else ""

    @property
    def name(self) -> str:
        """A name without its quotes; empty if it is none."""
        if self.kind == "word":
            return self.text
        if self.kind != "quoted":
            return ""
        quote = self.text[-1]
        return self.text[1:-1].replace(quote * 2, quote)


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a text, as far as they can be read."""
    tokens: list[Token] = []
    at = 0
    while at < len(text) and len(tokens) < MAX_TOKENS:
        match = _TOKEN.match(text, at)
        if match is None:
            break
        at = match.end()
        kind = match.lastgroup if match.lastgroup != "tag" else "value"
        if kind != "gap":
            tokens.append(Token(kind, match[0], match.start(), at))  # type: ignore[arg-type]  # its groups
    return tokens


def shaped(text: str) -> str:
    """Return a text with `?` for each value: all of a plan that leaves the process has gone through here."""
    shown: list[str] = []
    end = 0
    for token in tokens_of(text):
        if shown and token.start > end:
            shown.append(" ")
        shown.append("?" if token.kind in {"value", "bind"} else token.text)
        end = token.end
    if text[end:].strip():
        shown.append(" …")
    return "".join(shown)


def text_of(text: str, tokens: Sequence[Token]) -> str:
    """Return the part of a text that tokens of it stand for."""
    return text[tokens[0].start : tokens[-1].end] if tokens else ""


def closing(tokens: Sequence[Token], opening: int) -> int:
    """Return where the parenthesis that stands at `opening` is closed; the end if it isn't."""
    depth = 0
    for at in range(opening, len(tokens)):
        if tokens[at].text == "(":
            depth += 1
        elif tokens[at].text == ")":
            depth -= 1
            if depth == 0:
                return at
    return len(tokens)


def unwrapped(tokens: Sequence[Token]) -> Sequence[Token]:
    """Return tokens without the parentheses around all of them."""
    while len(tokens) > 1 and tokens[0].text == "(" and closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def split(tokens: Sequence[Token], by: str) -> list[Sequence[Token]]:
    """Return the parts between the words (or commas) `by` that stand in no parenthesis and no CASE.

    The AND that belongs to a BETWEEN divides nothing.
    """
    parts: list[Sequence[Token]] = []
    depth = begin = 0
    between = False
    for at, token in enumerate(tokens):
        word = token.word
        if word in {"(", "[", "CASE"}:
            depth += 1
        elif word in {")", "]", "END"}:
            depth -= 1
        elif depth == 0 and word == "BETWEEN":
            between = True
        elif depth == 0 and word == by:
            if between and by == "AND":
                between = False
                continue
            parts.append(tokens[begin:at])
            begin = at + 1
    parts.append(tokens[begin:])
    return [part for part in parts if part]
