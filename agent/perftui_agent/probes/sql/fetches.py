"""Adds to a statement what it takes to fetch its rows, where they are not there when it has been executed.

SQLite computes while it is fetched from, and a server-side cursor asks the server again and again: a query
of 2.3 s was executed in 0.08 ms. So a statement that leaves rows in its cursor is told of when they have
been fetched, or when nobody can fetch them any more. Measured is around SQLAlchemy's ways to fetch many
rows at once; where it fetches one by one, the first 500 and slow ones are timed, of further ones one in 64.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from time import perf_counter_ns
from typing import Any, Protocol

import msgspec

from perftui_agent.probes.patches import Patches
from perftui_agent.probes.sql.steps import leave_out, open_steps
from perftui_agent.records import RequestRecord, StatementRecord

ATTRIBUTE = "_perftui_unfetched"
"""Where an execution's context, which lives as long as its result, keeps what is to be told of it."""

SLOW_ROW_NS = 10_000
"""Rows that take longer are all timed, which costs 0.1 µs each."""

TIMED_FIRST = 500
"""Rows that are all timed, however quick: the first one often waits for all the work, and where few are found
among many, any of them may."""

ONE_IN = 64
"""Of quick rows; the one that is timed stands for the others."""


class Unfetched(msgspec.Struct, eq=False, gc=False):
    """A statement that may have rows in its cursor still, until it has been told of."""

    record: StatementRecord | None
    """None while it is fetched from, since one way to fetch may use another, and when it has been told of."""
    request: RequestRecord | None
    """Whose it is; the record does not know."""
    told: Told
    text: str
    parameters: Any
    connection: Any
    """What it ran on, as the context it is kept by has it: who is told may want to keep the run."""

    def __del__(self) -> None:
        record = self.record
        if record is not None:
            self.told.rows_are_fetched(self, record)


class Told(Protocol):
    """Who is told of a statement when its rows are there: the probe."""

    def rows_are_fetched(self, unfetched: Unfetched, record: StatementRecord) -> None:
        """Take its record, which will not be written to any more."""


def wrap_fetches(cursor: Any, patches: Patches) -> None:
    """Wrap the ways to fetch in SQLAlchemy's module; AttributeError or KeyError if one is not there."""
    plain, buffered = cursor.CursorFetchStrategy, cursor.BufferedRowCursorFetchStrategy
    result = cursor.CursorResult
    wrapped = [
        (plain, "fetchall", _timed_all(vars(plain)["fetchall"])),
        (buffered, "fetchall", _timed_all(vars(buffered)["fetchall"])),
        (plain, "fetchmany", _timed_some(vars(plain)["fetchmany"])),
        (buffered, "fetchmany", _timed_some(vars(buffered)["fetchmany"])),
        (buffered, "_buffer_rows", _timed_some(vars(buffered)["_buffer_rows"])),
        (buffered, "__init__", _timed_first(vars(buffered)["__init__"])),
        (result, "_fetchone_impl", _timed_one(vars(result)["_fetchone_impl"], plain)),
        (result, "_fetchiter_impl", _timed_iteration(vars(result)["_fetchiter_impl"], plain)),
    ]
    for owner, name, ours in wrapped:
        patches.replace(owner, name, ours)


def wrap_failures(connection: Any, patches: Patches) -> None:
    """Wrap what SQLAlchemy's connection does about a failure: its traceback may keep a context alive."""
    handle = vars(connection)["_handle_dbapi_exception"]

    def handle_failure(self: Any, *args: Any, **options: Any) -> Any:
        context = options.get("context", args[4] if len(args) > 4 else None)
        unfetched = getattr(context, ATTRIBUTE, None)
        if isinstance(unfetched, Unfetched):
            _tell(unfetched, unfetched.record)
        return handle(self, *args, **options)

    patches.replace(connection, "_handle_dbapi_exception", handle_failure)


def _add(record: StatementRecord, ns: int) -> None:
    record.ended_ns += ns
    if open_steps:
        leave_out(ns)


def _tell(unfetched: Unfetched, record: StatementRecord | None) -> None:
    unfetched.record = None
    if record is not None:
        unfetched.told.rows_are_fetched(unfetched, record)


def _timed_all(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """Return a strategy's way to fetch all rows, with the common case written out."""

    def fetchall(strategy: Any, result: Any, dbapi_cursor: Any) -> Any:
        unfetched: Unfetched | None = getattr(result.context, ATTRIBUTE, None)
        if unfetched is None or unfetched.record is None:
            return fetch(strategy, result, dbapi_cursor)
        record, unfetched.record = unfetched.record, None
        started_ns = perf_counter_ns()
        try:
            rows = fetch(strategy, result, dbapi_cursor)
        except BaseException:
            _add(record, perf_counter_ns() - started_ns)
            record.failed = True
            unfetched.told.rows_are_fetched(unfetched, record)
            raise
        record.ended_ns += perf_counter_ns() - started_ns
        if open_steps:
            leave_out(perf_counter_ns() - started_ns)
        unfetched.told.rows_are_fetched(unfetched, record)
        return rows

    return fetchall


def _timed_some(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """Return a strategy's way to fetch many rows, which is given the result that they are for."""

    def fetch_some(strategy: Any, result: Any, *args: Any, **options: Any) -> Any:
        return _measured(result, fetch, strategy, result, *args, **options)

    return fetch_some


def _timed_one(fetch: Callable[..., Any], plain: type) -> Callable[..., Any]:
    """Return a result's way to fetch one row; where rows are buffered, that is timed as they come."""

    def fetch_one(result: Any, *args: Any, **options: Any) -> Any:
        if type(result.cursor_strategy) is not plain:
            return fetch(result, *args, **options)
        return _measured(result, fetch, result, *args, **options)

    return fetch_one


def _measured(result: Any, fetch: Callable[..., Any], *args: Any, **options: Any) -> Any:
    unfetched: Unfetched | None = getattr(result.context, ATTRIBUTE, None)
    if unfetched is None or unfetched.record is None:
        return fetch(*args, **options)
    record, unfetched.record = unfetched.record, None
    started_ns = perf_counter_ns()
    try:
        rows = fetch(*args, **options)
    except BaseException:
        _add(record, perf_counter_ns() - started_ns)
        record.failed = True
        unfetched.told.rows_are_fetched(unfetched, record)
        raise
    _add(record, perf_counter_ns() - started_ns)
    if getattr(result, "_soft_closed", False):
        unfetched.told.rows_are_fetched(unfetched, record)
    else:
        unfetched.record = record
    return rows


def _timed_first(init: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes a buffered strategy: it fetches a row, for which a server computes them all.

    It is not told of the execution; who calls it, once for each, knows.
    """

    def timed_init(strategy: Any, *args: Any, **options: Any) -> None:
        started_ns = perf_counter_ns()
        init(strategy, *args, **options)
        ns = perf_counter_ns() - started_ns
        caller = sys._getframe(1).f_locals
        context = getattr(caller.get("result"), "context", caller.get("self"))
        unfetched = getattr(context, ATTRIBUTE, None)
        if isinstance(unfetched, Unfetched) and unfetched.record is not None:
            _add(unfetched.record, ns)

    return timed_init


def _timed_iteration(iterate: Callable[[Any], Iterator[Any]], plain: type) -> Callable[[Any], Iterator[Any]]:
    """Return a result's way to go over rows that it fetches one by one."""

    def timed_iteration(result: Any) -> Iterator[Any]:
        rows = iterate(result)
        unfetched: Unfetched | None = getattr(result.context, ATTRIBUTE, None)
        if unfetched is None or unfetched.record is None or type(result.cursor_strategy) is not plain:
            return rows
        return _timed_rows(rows, unfetched, unfetched.record)

    return timed_iteration


def _timed_rows(rows: Iterator[Any], unfetched: Unfetched, record: StatementRecord) -> Iterator[Any]:
    clock = perf_counter_ns
    fetched_ns = timed = untimed = 0
    try:
        while True:
            started_ns = clock()
            try:
                row = next(rows)
            except StopIteration:
                fetched_ns += clock() - started_ns
                return
            ns = clock() - started_ns
            quick = ns < SLOW_ROW_NS
            fetched_ns += ns * (untimed + 1) if quick else ns
            timed += 1
            yield row
            untimed = 0
            if quick and timed >= TIMED_FIRST:
                untimed = ONE_IN - 1
                yield from islice(rows, untimed)
    except Exception:
        record.failed = True
        raise
    finally:
        # Another way may have gone on with the rest of the rows: then it has been told of.
        if unfetched.record is record:
            _add(record, fetched_ns)
            _tell(unfetched, record)
