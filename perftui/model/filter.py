"""One language to say which rows are wanted: `route:/orders p95>200ms status:5xx -"health check"`.

Takes a line of words, all of which a row has to meet; `-` before a word turns it round. A word is a figure
and a bound (`p95>200ms`, `errors>1%`, `rps>=5`), a name and a text (`route:/orders`, `worker:4121`,
`status:5xx`), or text that any part of a row may contain. A word that says nothing about a kind of row (the
SQL of a worker) leaves that kind alone; a figure that was not measured meets no bound. What can't be
understood is refused with one sentence about the word it is in.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from perftui.model.figures import FIGURES, Row, pids_of, routes_of, texts_of
from perftui.model.happenings import SlowRow
from perftui.model.route_summary import RouteSummary
from perftui.model.worker_summary import WorkerSummary
from perftui.record import Record

R = TypeVar("R", bound=Row)

Test: TypeAlias = Callable[[Row], bool | None]
"""Whether a row meets a word; None if the word says nothing about such rows."""

STATUSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "disconnected")

_COMPARE: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "=": operator.eq}
)
_IN_QUOTES = "in quotes it is text"

_BOUND = re.compile(r"([a-z0-9_]+)(>=|<=|>|<|=)(.*)", re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(r"([a-z]+):(.*)", re.IGNORECASE | re.DOTALL)
WORD = re.compile(r'(?:[^\s"]|"[^"]*"|"[^"]*$)+')
"""One word of a filter; quotes hold it together."""


class FilterError(ValueError):
    """What is wrong with a filter, in one sentence, and where."""

    def __init__(self, word: str, at: int, problem: str, brief: str = "") -> None:
        super().__init__(problem)
        self.brief = brief or problem
        """The same where there is room for a line only."""
        self.word = word
        """The word that is not understood."""
        self.at = at
        """How many characters stand before it."""


_ALIASES = MappingProxyType(
    {"err": "errors", "requests": "n", "count": "n", "rss": "memory", "inflight": "open"}
)


class Filter(Record, frozen=True):
    """Which rows are wanted."""

    text: str = ""
    tests: tuple[Test, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tests)

    def wants(self, row: Row) -> bool:
        """Tell whether a row meets every word that says something about it."""
        return all(test(row) is not False for test in self.tests)

    def of(self, rows: Iterable[R]) -> tuple[R, ...]:
        """Return the rows that are wanted, in their order."""
        return tuple(row for row in rows if self.wants(row))


EVERYTHING = Filter()


def parse_filter(text: str) -> Filter:
    """Return the filter that `text` says; `FilterError` if a word of it isn't understood."""
    tests = []
    for match in WORD.finditer(text):
        word = match[0]
        if word.count('"') % 2:
            raise FilterError(word, match.start(), f"the quote in {word} is not closed")
        negated = word.startswith("-") and len(word) > 1
        test = _test(word[1:] if negated else word, match.start())
        tests.append(_not(test) if negated else test)
    return Filter(text, tuple(tests))


def _not(test: Test) -> Test:
    def negated(row: Row) -> bool | None:
        met = test(row)
        return None if met is None else not met

    return negated


def _test(word: str, at: int) -> Test:
    if bound := _BOUND.fullmatch(word):
        return _bounded(word, at, bound[1].casefold(), bound[2], _plain(bound[3]))
    if named := _NAMED.fullmatch(word):
        return _named(word, at, named[1].casefold(), _plain(named[2]))
    needle = _plain(word).casefold()
    return lambda row: _contains(texts_of(row), needle)


def _bounded(word: str, at: int, name: str, sign: str, value: str) -> Test:
    figure = FIGURES.get(_ALIASES.get(name, name))
    if figure is None:
        raise FilterError(
            word,
            at,
            f'{word}: there is no figure {name}, there is {", ".join(FIGURES)}; {_IN_QUOTES}: "{word}"',
            brief=f"{word}: there is no figure {name}; {_IN_QUOTES}",
        )
    bound = figure.unit.parse(value)
    if bound is None:
        said = f"{value} is not {figure.unit.name}" if value else f"{name} wants {figure.unit.name}"
        raise FilterError(word, at, f"{word}: {said}, write {name}{sign}{figure.unit.example}")
    compare = _COMPARE[sign]

    def test(row: Row) -> bool | None:
        get = figure.of.get(type(row))
        if get is None:
            return None
        measured = get(row)
        return measured is not None and compare(measured, bound)

    return test


def _named(word: str, at: int, name: str, value: str) -> Test:
    make = _NAMES.get(name)
    if make is None:
        names = ", ".join(f"{each}:" for each in _NAMES)
        raise FilterError(
            word,
            at,
            f'{word}: there is no {name}:, there is {names}; {_IN_QUOTES}: "{word}"',
            brief=f"{word}: there is no {name}:, there is {names}",
        )
    if not value:
        raise FilterError(word, at, f"{word} wants something after it")
    return make(word, at, value)


def _route(_word: str, _at: int, value: str) -> Test:
    needle = value.casefold()

    def test(row: Row) -> bool | None:
        routes = routes_of(row)
        return None if routes is None else _contains(routes, needle)

    return test


def _worker(word: str, at: int, value: str) -> Test:
    if not (value.isascii() and value.isdecimal()):
        raise FilterError(word, at, f"{word}: a worker is told by its pid, like worker:4121")

    def test(row: Row) -> bool | None:
        pids = pids_of(row)
        return None if pids is None else value in pids

    return test


def _status(word: str, at: int, value: str) -> Test:
    wanted = value.casefold()
    if wanted not in STATUSES:
        raise FilterError(word, at, f"{word}: a status is one of {', '.join(STATUSES)}")

    def test(row: Row) -> bool | None:
        if isinstance(row, RouteSummary):
            return row.status.get(wanted, 0) > 0
        if isinstance(row, SlowRow) and wanted != "disconnected":
            return row.request.status // 100 == int(wanted[0])
        return None

    return test


def _state(word: str, at: int, value: str) -> Test:
    wanted = value.casefold()
    if wanted not in {"ok", "blocked", "silent", "gone"}:
        raise FilterError(word, at, f"{word}: a worker is ok, blocked, silent or gone")
    return lambda row: row.state == wanted if isinstance(row, WorkerSummary) else None


_NAMES: Mapping[str, Callable[[str, int, str], Test]] = MappingProxyType(
    {"route": _route, "worker": _worker, "status": _status, "state": _state}
)

FORMS: tuple[tuple[str, str], ...] = (
    ("p95>200ms", f"a figure and a bound, > >= < <= =: {', '.join(FIGURES)}"),
    ("route:/orders", "the route holds this text"),
    ("worker:4121", "the worker of this pid"),
    ("status:5xx", f"some ended so: {', '.join(STATUSES)}"),
    ("state:blocked", "a worker that is ok, blocked, silent or gone"),
    ("crud.py", "any text of the row: route, statement, place, pid"),
    ('"GET /items"', "quotes keep blanks and signs in a text"),
    ("-status:5xx", "turned round: rows that don't meet it"),
)
"""What a word may look like, and what it means: the help and the README derive from it."""

NAMES = (*FIGURES, *(f"{name}:" for name in _NAMES))
"""What a word that is more than text begins with."""


def _contains(texts: Iterable[str | None], needle: str) -> bool:
    return any(needle in text.casefold() for text in texts if text)


def _plain(text: str) -> str:
    return text.replace('"', "")
