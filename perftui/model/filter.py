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
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from perftui.model.summary import (
    FlightRow,
    IncidentRow,
    PoolSummary,
    QuerySummary,
    RouteSummary,
    SlowRow,
    WorkerSummary,
)
from perftui_agent.wire.frames import CacheFrame

Row: TypeAlias = (
    RouteSummary | WorkerSummary | QuerySummary | PoolSummary | CacheFrame | FlightRow | SlowRow | IncidentRow
)
"""What can be filtered."""

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
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([a-zµ%]*)", re.IGNORECASE | re.ASCII)
_WORD = re.compile(r'(?:[^\s"]|"[^"]*"|"[^"]*$)+')


class FilterError(ValueError):
    """What is wrong with a filter, in one sentence, and where."""

    def __init__(self, word: str, at: int, problem: str) -> None:
        super().__init__(problem)
        self.word = word
        """The word that is not understood."""
        self.at = at
        """How many characters stand before it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a figure is counted in."""

    name: str
    factors: Mapping[str, float]
    """What each unit that may be written is worth; the one of the figure itself is 1."""
    example: str

    def parse(self, text: str) -> float | None:
        """Return the number that `text` stands for; None if it stands for none."""
        match = _NUMBER.fullmatch(text.strip())
        factor = self.factors.get(match[2].casefold()) if match else None
        return float(match[1]) * factor if match and factor is not None else None


_TIME = Unit("a time", {"": 1, "ms": 1, "s": 1000, "m": 60_000, "us": 0.001, "µs": 0.001}, "200ms or 1.5s")
_SHARE = Unit("a share", {"%": 0.01}, "1%")
_PERCENT = Unit("a percentage", {"": 1, "%": 1}, "80%")
_COUNT = Unit("a number", {"": 1, "k": 1e3}, "10 or 2.5k")
_SIZE = Unit(
    "a size",
    {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30},
    "50kB or 200MB",
)

Getters: TypeAlias = Mapping[type, Callable[..., float | None]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that rows have."""

    unit: Unit
    of: Getters


def _latency(name: str) -> Figure:
    def get(row: RouteSummary | WorkerSummary | QuerySummary) -> float | None:
        value: float | None = getattr(row.latency, name)
        return value

    return Figure(_TIME, {RouteSummary: get, WorkerSummary: get, QuerySummary: get})


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "p50": _latency("p50_ms"),
        "p95": _latency("p95_ms"),
        "p99": _latency("p99_ms"),
        "max": _latency("max_ms"),
        "rps": Figure(_COUNT, {RouteSummary: lambda row: row.rps, WorkerSummary: lambda row: row.rps}),
        "n": Figure(
            _COUNT,
            {
                RouteSummary: lambda row: row.requests,
                WorkerSummary: lambda row: row.requests,
                QuerySummary: lambda row: row.count,
            },
        ),
        "errors": Figure(
            _SHARE,
            {
                RouteSummary: lambda row: row.error_rate,
                WorkerSummary: lambda row: row.errors / row.requests if row.requests else None,
                QuerySummary: lambda row: row.errors / row.count if row.count else None,
            },
        ),
        "total": Figure(
            _TIME, {RouteSummary: lambda row: row.total_ms, QuerySummary: lambda row: row.total_ms}
        ),
        "sql": Figure(_COUNT, {RouteSummary: lambda row: row.sql_per_request}),
        "size": Figure(_SIZE, {RouteSummary: lambda row: row.bytes_p95}),
        "cpu": Figure(_PERCENT, {WorkerSummary: lambda row: row.cpu_percent}),
        "memory": Figure(_SIZE, {WorkerSummary: lambda row: row.rss_bytes}),
        "lag": Figure(_TIME, {WorkerSummary: lambda row: row.loop_lag_p99_ms}),
        "threads": Figure(_COUNT, {WorkerSummary: lambda row: row.threads}),
        "open": Figure(_COUNT, {WorkerSummary: lambda row: row.in_flight}),
        "wait": Figure(_TIME, {PoolSummary: lambda row: row.wait_p95_ms}),
        "age": Figure(_TIME, {FlightRow: lambda row: row.request.age_ns / 1e6}),
        "took": Figure(
            _TIME,
            {
                SlowRow: lambda row: row.request.total_ns / 1e6,
                IncidentRow: lambda row: row.incident.ns / 1e6,
            },
        ),
    }
)
"""The figures that may be bounded, and which rows have them."""

_ALIASES = MappingProxyType(
    {"err": "errors", "requests": "n", "count": "n", "rss": "memory", "inflight": "open"}
)


def _routes(row: Row) -> tuple[str | None, ...] | None:
    match row:
        case RouteSummary():
            return (row.route,)
        case QuerySummary():
            return row.routes
        case FlightRow() | SlowRow():
            return (row.request.route,)
        case IncidentRow():
            return (row.incident.route,)
        case _:
            return None


def _texts(row: Row) -> tuple[str | None, ...]:
    """Return everything in a row that people may look for."""
    match row:
        case RouteSummary():
            return (row.route, *(each.type for each in row.exceptions))
        case WorkerSummary():
            return (str(row.pid), row.state, row.identity.host, row.blocked_at, row.blocked_route)
        case QuerySummary():
            return (row.statement, row.fingerprint, row.call_site, row.database, *row.routes)
        case PoolSummary() | CacheFrame():
            return (row.name, row.kind)
        case FlightRow():
            return (row.request.route, row.request.path, row.request.waiting_at, str(row.pid))
        case SlowRow():
            spans = (text for span in row.request.spans for text in (span.name, span.call_site))
            return (row.request.route, row.request.path, str(row.pid), *spans)
        case IncidentRow():
            return (row.incident.kind, row.incident.where, row.incident.route, str(row.pid))


@dataclass(frozen=True, slots=True)
class Filter:
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
    for match in _WORD.finditer(text):
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
    return lambda row: _contains(_texts(row), needle)


def _bounded(word: str, at: int, name: str, sign: str, value: str) -> Test:
    figure = FIGURES.get(_ALIASES.get(name, name))
    if figure is None:
        raise FilterError(
            word,
            at,
            f'{word}: there is no figure {name}, there is {", ".join(FIGURES)}; {_IN_QUOTES}: "{word}"',
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
        raise FilterError(word, at, f'{word}: there is no {name}:, there is {names}; {_IN_QUOTES}: "{word}"')
    if not value:
        raise FilterError(word, at, f"{word} wants something after it")
    return make(word, at, value)


def _route(_word: str, _at: int, value: str) -> Test:
    needle = value.casefold()

    def test(row: Row) -> bool | None:
        routes = _routes(row)
        return None if routes is None else _contains(routes, needle)

    return test


def _worker(word: str, at: int, value: str) -> Test:
    if not (value.isascii() and value.isdecimal()):
        raise FilterError(word, at, f"{word}: a worker is told by its pid, like worker:4121")

    def test(row: Row) -> bool | None:
        if isinstance(row, WorkerSummary | FlightRow | SlowRow | IncidentRow):
            return str(row.pid) == value
        return None

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


def _contains(texts: Iterable[str | None], needle: str) -> bool:
    return any(needle in text.casefold() for text in texts if text)


def _plain(text: str) -> str:
    return text.replace('"', "")
