"""The queries within a statement: which tables each reads, under which terms, in which order, how many rows.

SQLite's plan says which table is scanned and not for what, so this is read from the statement. It need not
be right about everything: an index is advised only if SQLite's own planner takes it (`sqlite_copy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from perftui_agent.inspect.explain.terms import ColumnName, Term, terms_of
from perftui_agent.inspect.explain.tokens import Token, closing, split, tokens_of, unwrapped

_CLAUSES = frozenset(
    {"FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "WINDOW", "SET", "RETURNING", "VALUES"}
)
_JOINS = frozenset(["JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "OUTER", "NATURAL"])
_COMPOUND = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_QUERIES = frozenset({"SELECT", "WITH", "VALUES"})
_NO_ALIAS = _CLAUSES | _JOINS | _COMPOUND | {"ON", "USING", "INDEXED", "NOT", "AS"}

MAX_DEPTH = 30


class OrderedBy(NamedTuple):
    """A column that rows are sorted by."""

    column: ColumnName
    descending: bool


class Scope(msgspec.Struct):
    """One query, or the part of an UPDATE or a DELETE that looks for rows."""

    tables: dict[str, str] = msgspec.field(default_factory=dict)
    """By what each is called here, in lower case: the table."""
    terms: list[Term] = msgspec.field(default_factory=list)
    order: list[OrderedBy] = msgspec.field(default_factory=list)
    """Empty if it is by anything but columns."""
    limit: Sequence[Token] = ()
    """The number of rows, and how many are left out before: `LIMIT 10 OFFSET 20`."""
    grouped: bool = False
    """Whether rows are put together before they are sorted and counted."""
    selects: Sequence[Token] = ()


def scopes_of(text: str) -> list[Scope]:
    """Return the queries in a statement, the outermost first."""
    scopes: list[Scope] = []
    _read(text, tokens_of(text), scopes, 0)
    return scopes


def _read(text: str, tokens: Sequence[Token], scopes: list[Scope], depth: int) -> None:
    if depth > MAX_DEPTH:
        return
    scope = Scope()
    scopes.append(scope)
    clause, begin, at = "", 0, 0
    parts: list[tuple[str, Sequence[Token]]] = []

    while at < len(tokens):
        token = tokens[at]
        word = token.word
        if word == "(":
            end = closing(tokens, at)
            _within(text, tokens[at + 1 : end], scopes, depth)
            at = end + 1
            continue
        if word in _COMPOUND:
            parts.append((clause, tokens[begin:at]))
            rest = tokens[at + 1 :]
            _read(text, rest[1:] if rest and rest[0].word == "ALL" else rest, scopes, depth + 1)
            begin = at = len(tokens)
            break
        if word in _CLAUSES or word in {"SELECT", "UPDATE", "DELETE", "INTO"}:
            parts.append((clause, tokens[begin:at]))
            clause, begin = word, at + 1
        at += 1
    parts.append((clause, tokens[begin:at]))
    for name, part in parts:
        _take(scope, text, name, part)


def _within(text: str, tokens: Sequence[Token], scopes: list[Scope], depth: int) -> None:
    """Read the queries in a parenthesis."""
    if tokens and tokens[0].word in _QUERIES:
        _read(text, tokens, scopes, depth + 1)
        return
    at = 0
    while at < len(tokens):
        if tokens[at].text == "(":
            end = closing(tokens, at)
            _within(text, tokens[at + 1 : end], scopes, depth + 1)
            at = end
        at += 1


def _take(scope: Scope, text: str, clause: str, tokens: Sequence[Token]) -> None:
    if clause in {"FROM", "UPDATE"}:
        _from(scope, text, tokens)
    elif clause == "WHERE":
        scope.terms += terms_of(text, tokens)
    elif clause == "GROUP":
        scope.grouped = True
    elif clause == "ORDER":
        scope.order = _order(tokens[1:])
    elif clause in {"LIMIT", "OFFSET"}:
        scope.limit = [*scope.limit, *tokens]
    elif clause == "SELECT":
        scope.selects = tokens
        if tokens and tokens[0].word == "DISTINCT":
            scope.grouped = True


def _from(scope: Scope, text: str, tokens: Sequence[Token]) -> None:
    """Read the tables, and what they are joined on."""
    at = 0
    expected = True
    while at < len(tokens):
        word = tokens[at].word
        if word in {",", *_JOINS}:
            expected = True
            at += 1
        elif word == "ON":
            end = at + 1
            depth = 0
            while end < len(tokens) and (depth or tokens[end].word not in {",", *_JOINS}):
                depth += {"(": 1, ")": -1}.get(tokens[end].text, 0)
                end += 1
            scope.terms += terms_of(text, tokens[at + 1 : end])
            at = end
        elif word == "USING" and at + 1 < len(tokens):
            at = _using(scope, tokens, at + 1)
        elif word == "(":
            end = closing(tokens, at)
            inner = tokens[at + 1 : end]
            if inner and inner[0].word not in _QUERIES:
                _from(scope, text, inner)
            at = end + 1
            expected = False
        elif expected and tokens[at].name and word not in _NO_ALIAS:
            at = _table(scope, tokens, at)
            expected = False
        else:
            at += 1


def _table(scope: Scope, tokens: Sequence[Token], at: int) -> int:
    name = tokens[at].name
    at += 1
    while at + 1 < len(tokens) and tokens[at].text == "." and tokens[at + 1].name:
        name = tokens[at + 1].name
        at += 2
    alias = name
    if at + 1 < len(tokens) and tokens[at].word == "AS":
        alias = tokens[at + 1].name
        at += 2
    elif at < len(tokens) and tokens[at].name and tokens[at].word not in _NO_ALIAS:
        alias = tokens[at].name
        at += 1
    scope.tables[alias.lower()] = name
    return at


def _using(scope: Scope, tokens: Sequence[Token], at: int) -> int:
    """Read the columns that the last two tables have in common."""
    end = closing(tokens, at)
    names = list(scope.tables)
    if len(names) > 1:
        for token in tokens[at + 1 : end]:
            if token.name:
                one, two = ColumnName(names[-1], token.name), ColumnName(names[-2], token.name)
                scope.terms.append(Term("join", column=one, other=two))
    return end + 1


def _order(tokens: Sequence[Token]) -> list[OrderedBy]:
    ordered: list[OrderedBy] = []
    for part in split(tokens, ","):
        descending = any(token.word == "DESC" for token in part)
        bare = [token for token in part if token.word not in {"ASC", "DESC", "NULLS", "FIRST", "LAST"}]
        names = [token.name for token in unwrapped(bare) if token.text != "."]
        if not names or not all(names) or len(names) > 3:
            return []
        table = names[-2] if len(names) > 1 else ""
        ordered.append(OrderedBy(ColumnName(table, names[-1]), descending))
    return ordered
