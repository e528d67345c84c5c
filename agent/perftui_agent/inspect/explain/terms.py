"""What a condition asks of the columns of a table, term by term.

A term is one of those that AND joins. An index can be gone by where a column itself is held against
something (`equal`, `range`, `join`, the beginning of a `pattern`); where only something made of it is (a
function, a cast), it is `wrapped`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from perftui_agent.inspect.explain.tokens import Token, closing, split, text_of, tokens_of, unwrapped

TermKind: TypeAlias = Literal["equal", "join", "range", "pattern", "wrapped", "negated", "or", "other"]

_EQUAL = frozenset({"=", "==", "IS"})
_RANGE = frozenset({"<", "<=", ">", ">="})
_PATTERN = frozenset({"LIKE", "ILIKE", "GLOB", "~~", "~~*"})
_NEGATED = frozenset({"<>", "!=", "!~~", "!~~*"})
_OTHER = frozenset({"REGEXP", "MATCH", "~", "@>", "<@", "&&"})
_OPERATORS = _EQUAL | _RANGE | _PATTERN | _NEGATED | _OTHER | {"IN", "BETWEEN", "NOTNULL", "ISNULL"}

_NO_COLUMNS = frozenset(
    [
        "NULL",
        "TRUE",
        "FALSE",
        "NOT",
        "AND",
        "OR",
        "IS",
        "IN",
        "LIKE",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "ESCAPE",
        "COLLATE",
        "INTERVAL",
        "DISTINCT",
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "LOCALTIMESTAMP",
        "CURRENT_USER",
        "SESSION_USER",
        "ANY",
        "ALL",
        "SOME",
        "ARRAY",
        "CAST",
        "AS",
        "EXISTS",
        "FROM",
        "ROW",
    ]
)

HARMLESS = frozenset(
    [
        "IN",
        "ANY",
        "ALL",
        "SOME",
        "AND",
        "OR",
        "NOT",
        "LIKE",
        "BETWEEN",
        "IS",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "ARRAY",
        "ROW",
        "CAST",
        "COALESCE",
        "NULLIF",
        "LOWER",
        "UPPER",
        "LENGTH",
        "CHAR_LENGTH",
        "SUBSTR",
        "SUBSTRING",
        "TRIM",
        "BTRIM",
        "LTRIM",
        "RTRIM",
        "ABS",
        "ROUND",
        "FLOOR",
        "CEIL",
        "DATE",
        "TIME",
        "DATETIME",
        "JULIANDAY",
        "STRFTIME",
        "DATE_TRUNC",
        "DATE_PART",
        "EXTRACT",
        "NOW",
        "TO_CHAR",
        "IFNULL",
        "MIN",
        "MAX",
        "GREATEST",
        "LEAST",
        "CONCAT",
        "REPLACE",
        "VARCHAR",
        "NUMERIC",
        "CHAR",
        "CHARACTER",
        "TIMESTAMP",
        "DECIMAL",
    ]
)
"""What may stand before a parenthesis: neither it nor what it calls changes or waits for anything."""

_TYPE_WORDS = frozenset(["VARYING", "PRECISION", "WITH", "WITHOUT", "TIME", "ZONE"])


class ColumnName(NamedTuple):
    """A column as a statement names it."""

    table: str
    """The table, or what it is called there; empty where that is not said."""
    column: str


class Term(NamedTuple):
    """One term of a condition."""

    kind: TermKind
    column: ColumnName = ColumnName("", "")
    """Of an `equal`, `join`, `range`, `pattern` or `negated` term."""
    other: ColumnName | None = None
    """What a `join` holds it against."""
    cast: str = ""
    """The type that the column is cast to, in lower case."""
    wrapping: str = ""
    """Of a `wrapped` one: what is held against something, `lower(email)`."""
    inside: tuple[ColumnName, ...] = ()
    """All columns in it."""
    value: Token | None = None
    """What a `pattern` is held against, if that is one value."""
    any_case: bool = False
    """Of a `pattern`: whether it takes `a` for `A`."""
    branches: tuple[tuple[Term, ...], ...] = ()
    """Of an `or`: the terms of each of its sides."""
    asks: bool = False
    """Whether there is a query in it."""
    text: str = ""
    """As it stands, values and all: for the database alone."""
    binds: tuple[Token, ...] = ()

    def all_columns(self) -> Iterator[ColumnName]:
        """Yield every column that it names."""
        if self.column.column:
            yield self.column
        if self.other is not None:
            yield self.other
        yield from self.inside
        for branch in self.branches:
            for term in branch:
                yield from term.all_columns()


class _Side(NamedTuple):
    kind: Literal["column", "value", "expression", "query"]
    column: ColumnName = ColumnName("", "")
    cast: str = ""
    inside: tuple[ColumnName, ...] = ()
    tokens: Sequence[Token] = ()


def terms_of(text: str, tokens: Sequence[Token] | None = None) -> list[Term]:
    """Return the terms of a condition; `tokens` are those of the part of `text` that it is."""
    tokens = unwrapped(tokens_of(text) if tokens is None else tokens)
    parts = split(tokens, "AND")
    if len(parts) == 1 and len(split(tokens, "OR")) == 1:
        return [_term(text, tokens)] if tokens else []
    if len(split(tokens, "OR")) > 1:
        return [_alternatives(text, tokens)]
    return [term for part in parts for term in terms_of(text, part)]


def _alternatives(text: str, tokens: Sequence[Token]) -> Term:
    branches = tuple(tuple(terms_of(text, part)) for part in split(tokens, "OR"))
    return _made("or", text, tokens, branches=branches)


def _made(kind: TermKind, text: str, tokens: Sequence[Token], **said: object) -> Term:
    asks = any(token.word in {"SELECT", "SUBPLAN"} for token in tokens)
    binds = tuple(token for token in tokens if token.kind == "bind")
    return Term(kind, text=text_of(text, tokens), binds=binds, asks=asks, **said)  # type: ignore[arg-type]


def _term(text: str, tokens: Sequence[Token]) -> Term:
    at = _operator(tokens)
    if at is None:
        return _bare(text, tokens)
    operator = tokens[at].word
    left, begin = tokens[:at], at + 1
    negated = operator in _NEGATED or (bool(left) and left[-1].word == "NOT")
    if left and left[-1].word == "NOT":
        left = left[:-1]
    if operator == "IS" and begin < len(tokens) and tokens[begin].word == "NOT":
        negated = True
    one, two = _side(text, left), _side(text, _without_escape(tokens[begin:]))
    if one.kind != "column" and two.kind == "column" and operator in _EQUAL | _RANGE | _NEGATED:
        one, two = two, one
    inside = (*one.inside, *two.inside)
    if negated:
        return _made("negated", text, tokens, column=one.column, inside=inside)
    if one.kind == "expression" or (one.kind == "value" and two.kind == "expression"):
        wrapped = one if one.kind == "expression" else two
        return _made("wrapped", text, tokens, wrapping=text_of(text, wrapped.tokens), inside=inside)
    if one.kind != "column" or two.kind == "expression":
        # `a = b + 1`: an index on `a` serves if `b` is another table's; who knows the tables decides.
        kind: TermKind = "join" if one.kind == "column" and operator in _EQUAL and two.inside else "other"
        other = two.inside[0] if kind == "join" else None
        return _made(kind, text, tokens, column=one.column, other=other, cast=one.cast, inside=inside)
    return _of_column(text, tokens, operator, one, two)


def _of_column(text: str, tokens: Sequence[Token], operator: str, one: _Side, two: _Side) -> Term:
    if two.kind == "column":
        kind: TermKind = "join" if operator in _EQUAL else "other"
        return _made(kind, text, tokens, column=one.column, other=two.column, cast=one.cast)
    if operator in _EQUAL or operator in {"IN", "ISNULL"}:
        return _made("equal", text, tokens, column=one.column, cast=one.cast)
    if operator in _RANGE or operator == "BETWEEN":
        return _made("range", text, tokens, column=one.column, cast=one.cast)
    if operator in _PATTERN:
        values = [token for token in two.tokens if token.kind in {"value", "bind"}]
        return _made(
            "pattern",
            text,
            tokens,
            column=one.column,
            cast=one.cast,
            value=values[0] if len(values) == 1 else None,
            any_case=operator in {"ILIKE", "~~*"},
        )
    return _made("other", text, tokens, column=one.column)


def _bare(text: str, tokens: Sequence[Token]) -> Term:
    """Read what has no operator: `active`, `NOT active`, `EXISTS (…)`."""
    rest = tokens[1:] if tokens and tokens[0].word == "NOT" else tokens
    side = _side(text, rest)
    if side.kind == "column":
        return _made("equal", text, tokens, column=side.column, cast="boolean")
    return _made("other", text, tokens, inside=side.inside)


def _operator(tokens: Sequence[Token]) -> int | None:
    depth = 0
    for at, token in enumerate(tokens):
        word = token.word
        if word in {"(", "[", "CASE"}:
            depth += 1
        elif word in {")", "]", "END"}:
            depth -= 1
        elif depth == 0 and word in _OPERATORS and at:
            return at
    return None


def _without_escape(tokens: Sequence[Token]) -> Sequence[Token]:
    return split(tokens, "ESCAPE")[0] if tokens else tokens


def _side(text: str, tokens: Sequence[Token]) -> _Side:
    """Read what stands on one side of an operator."""
    tokens = unwrapped(tokens)
    cast = ""
    while True:
        bare, told = _without_cast(text, tokens)
        cast = cast or told
        bare = unwrapped(bare)
        if len(bare) == len(tokens):
            break
        tokens = bare
    if tokens and tokens[0].word in {"SELECT", "WITH"}:
        return _Side("query", tokens=tokens)
    name = _column_name(tokens)
    if name is not None:
        return _Side("column", name, cast, tokens=tokens)
    if any(token.word in {"SELECT", "SUBPLAN"} for token in tokens):
        return _Side("query", tokens=tokens)
    inside = tuple(_columns_in(tokens))
    return _Side("expression" if inside else "value", inside=inside, tokens=tokens)


def _without_cast(text: str, tokens: Sequence[Token]) -> tuple[Sequence[Token], str]:
    """Return tokens without a cast or a collation at their end, and the type that they are cast to."""
    depth = 0
    for at in range(len(tokens) - 1, 0, -1):
        word = tokens[at].word
        if word in {")", "]"}:
            depth += 1
        elif word in {"(", "["}:
            depth -= 1
        elif depth == 0 and word == "::":
            return tokens[:at], text_of(text, tokens[at + 1 :]).lower()
        elif depth == 0 and word == "COLLATE":
            return tokens[:at], ""
        elif depth == 0 and tokens[at].kind == "sign" and word not in {".", ","}:
            break
    return tokens, ""


def _column_name(tokens: Sequence[Token]) -> ColumnName | None:
    names = [token.name for token in tokens[::2]]
    dots = [token.text for token in tokens[1::2]]
    if not 1 <= len(names) <= 3 or not all(names) or any(dot != "." for dot in dots) or len(tokens) % 2 == 0:
        return None
    if len(tokens) == 1 and tokens[0].word in _NO_COLUMNS:
        return None
    return ColumnName(names[-2] if len(names) > 1 else "", names[-1])


def _columns_in(tokens: Sequence[Token]) -> Iterator[ColumnName]:
    """Yield what may be a column: a name that is no keyword, no function and no type."""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        before = tokens[at - 1].word if at else ""
        end = at
        while end + 2 < len(tokens) and tokens[end + 1].text == "." and tokens[end + 2].name:
            end += 2
        after = tokens[end + 1].text if end + 1 < len(tokens) else ""
        if token.name and before not in {"::", "COLLATE", "AS"} and after != "(":
            name = _column_name(tokens[at : end + 1])
            if name is not None and token.word not in _TYPE_WORDS:
                yield name
        at = end + 1


def may_be_tried(term: Term) -> bool:
    """Tell whether a term can be held against rows of a sample: it calls nothing that might do something."""
    tokens = tokens_of(term.text)
    before = ["", *(token.text for token in tokens)]
    return all(
        after.text != "(" or token.kind == "sign" or (token.word in HARMLESS and before[place] != ".")
        for place, (token, after) in enumerate(pairwise(tokens))
    )


def is_call(tokens: Sequence[Token]) -> bool:
    """Tell whether tokens are one call of a function, and nothing besides."""
    return (
        len(tokens) > 2
        and tokens[0].kind == "word"
        and tokens[1].text == "("
        and closing(tokens, 1) == len(tokens) - 1
    )
