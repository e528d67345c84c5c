"""Sees every statement that SQLAlchemy runs: sync and async, of engines made earlier or later.

Wraps the dialects' `do_execute`, `do_executemany` and `do_execute_no_params`, through which each
statement goes to the driver once. Listening to events costs 4.7 µs a statement before anything is done
with them (12.2 µs became 16.9), since SQLAlchemy takes other paths as soon as anyone listens; the wrapper
costs 0.3. What comes out is one record per statement that went to the driver, failed and cancelled ones
included: an insert in three batches is three. Rows that are fetched later are part of it (`fetches`); what
a transaction, a pool and a connection ask the server are told of as statements are (`transactions`).
Statements on a raw DBAPI connection are not seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from typing import Any, Protocol

from perftui_agent.guard import Guard
from perftui_agent.handover import count, hand_over
from perftui_agent.kept_run import kept_run
from perftui_agent.probes.call_sites import call_site
from perftui_agent.probes.patches import Patches
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.probes.sql.binds import MAX_BINDS, SALT, hash_of_binds
from perftui_agent.probes.sql.databases import database_of
from perftui_agent.probes.sql.fetches import Unfetched, wrap_failures, wrap_fetches
from perftui_agent.probes.sql.steps import leave_out, open_steps
from perftui_agent.probes.sql.transactions import DIALECT_STEPS, timed_step, wrap_transactions
from perftui_agent.records import RequestRecord, Shape, StatementRecord, StatementText, kept_of
from perftui_agent.whose import request_at
from perftui_agent.wire.frames import Frame

NEW_CALL_SITES_A_SECOND = 50
"""Of texts met for the first time; an app that never sends the same text twice must not pay for each."""

RUN_WITH_CALL_SITE = 2
"""The third execution by one request brings its call site: there repetition begins. So do the fifth, the
ninth and so on, which tell whether it is one place that repeats."""

MAX_RUNS = 500
"""Selects of one request that are told apart: a WebSocket may live for days."""


class StatementSink(Protocol):
    """Where records go, and what is known of their texts."""

    open: bool

    def put(self, record: StatementRecord) -> None:
        """Take a record that will not be written to any more."""

    @property
    def known_texts(self) -> dict[int, StatementText]:
        """What is known of a text, by its hash: the same dict as long as the sink lives."""


class SqlAlchemyProbe:
    """Puts a record for each statement."""

    name = "sqlalchemy"

    def __init__(
        self, sink: StatementSink, guard: Guard, slow_query_ms: float, *, keeps_runs: bool = True
    ) -> None:
        """`keeps_runs`: whether anybody may ask how a database goes about a statement's slowest run."""
        self._sink = sink
        self._keeps_runs = keeps_runs
        self._put = sink.put
        self._known = sink.known_texts.get
        self._guard = guard
        self._slow_ns = int(slow_query_ms * 1_000_000)
        self._patches = Patches()
        self._attached = False
        self._base: type | None = None
        """The class of all dialects."""
        self._fetched_from: dict[type, bool] = {}
        """Kinds of cursors, and whether they leave rows behind when they have executed something."""
        self._wraps = {
            "do_execute": self._timed,
            "do_executemany": self._timed,
            "do_execute_no_params": self._timed_without_parameters,
        }
        self._new_call_sites = NEW_CALL_SITES_A_SECOND

    def attach(self) -> ProbeStatus:
        """Wrap the methods of every dialect that is there, and see to those that come."""
        if self._attached:
            return ON
        sqlalchemy = imported_sqlalchemy()
        if sqlalchemy is None:
            return NOT_IMPORTED
        try:
            dialect = sqlalchemy.engine.default.DefaultDialect
            missing = [name for name in (*self._wraps, "initialize") if name not in vars(dialect)]
            if not missing:
                wrap_fetches(sqlalchemy.engine.cursor, self._patches)
                wrap_failures(sqlalchemy.engine.Connection, self._patches)
                wrap_transactions(sqlalchemy, self._patches, self)
        except (AttributeError, KeyError) as error:
            self._patches.take_back()
            missing = [str(error)]
        if missing:
            return f"off: SQLAlchemy {sqlalchemy.__version__} is unknown: no {', '.join(missing)}"
        self._attached = True
        self._base = dialect
        for cls in _with_subclasses(dialect):
            self._cover(cls)
        self._patches.replace(dialect, "initialize", self._covering(vars(dialect)["initialize"]))
        return ON

    def detach(self) -> None:
        """Put the originals back; what somebody else has wrapped in the meantime stays, and does nothing."""
        self._attached = False
        self._patches.take_back()

    def fill(self, _frame: Frame) -> None:
        """Let new texts bring their call sites again."""
        self._new_call_sites = NEW_CALL_SITES_A_SECOND

    def _cover(self, dialect: type) -> None:
        """Wrap the methods that a class of dialects has of its own."""
        for name, wrap in self._wraps.items():
            theirs = vars(dialect).get(name)
            if theirs is not None and not self._patches.have(dialect, name):
                self._patches.replace(dialect, name, wrap(name, theirs))
        for method, name in DIALECT_STEPS.items():
            theirs = vars(dialect).get(method)
            if callable(theirs) and dialect is not self._base and not self._patches.have(dialect, method):
                self._patches.replace(dialect, method, timed_step(theirs, name, self))

    def _covering(self, initialize: Callable[..., Any]) -> Callable[..., Any]:
        """Return what each engine's first connection calls: its dialect may have come after us."""

        def covering_initialize(dialect: Any, connection: Any) -> Any:
            if self._attached:
                try:
                    for cls in type(dialect).__mro__:
                        self._cover(cls)
                except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a connection
                    self._guard.fault("probes.sqlalchemy", error)
            return initialize(dialect, connection)

        return covering_initialize

    def _timed(self, name: str, execute: Callable[..., Any]) -> Callable[..., Any]:
        """Return `do_execute` or `do_executemany`, with a record of each call."""
        sink = self._sink
        counted: set[type] = set()
        """The dialects whose method this is; others call it by `super()` and are counted outside."""

        def timed(dialect: Any, cursor: Any, statement: str, parameters: Any, context: Any = None) -> Any:
            if not (sink.open and self._attached):
                return execute(dialect, cursor, statement, parameters, context)
            if dialect.__class__ not in counted:
                if getattr(dialect.__class__, name) is not timed:
                    return execute(dialect, cursor, statement, parameters, context)
                counted.add(dialect.__class__)
            started_ns = perf_counter_ns()
            try:
                result = execute(dialect, cursor, statement, parameters, context)
            except BaseException:
                self._record(started_ns, perf_counter_ns(), statement, None, context, cursor, failed=True)
                raise
            self._record(started_ns, perf_counter_ns(), statement, parameters, context, cursor)
            return result

        return timed

    def _timed_without_parameters(self, name: str, execute: Callable[..., Any]) -> Callable[..., Any]:
        """Return `do_execute_no_params`, with a record of each call."""

        def timed(dialect: Any, cursor: Any, statement: str, context: Any = None) -> Any:
            if not (self._sink.open and self._attached) or getattr(dialect.__class__, name) is not timed:
                return execute(dialect, cursor, statement, context)
            started_ns = perf_counter_ns()
            try:
                result = execute(dialect, cursor, statement, context)
            except BaseException:
                self._record(started_ns, perf_counter_ns(), statement, None, context, cursor, failed=True)
                raise
            self._record(started_ns, perf_counter_ns(), statement, (), context, cursor)
            return result

        return timed

    def _record(
        self,
        started_ns: int,
        ended_ns: int,
        text: str,
        parameters: Any,
        context: Any,
        cursor: Any = None,
        *,
        failed: bool = False,
    ) -> None:
        """Put the record of a statement, or keep it until its rows have been fetched from `cursor`.

        In one function, with few calls: in the middle of a statement the caches are cold, and what takes
        60 ns in a loop was measured at 300.
        """
        try:
            if open_steps and cursor is not None:
                leave_out(ended_ns - started_ns)
            request = request_at(started_ns)
            known = self._known(hash(text)) or self._known_by_original(text, context)
            if known is None:
                record = self._of_unknown(request, started_ns, ended_ns, text, parameters, context, failed)
                if cursor is not None and not failed and self._leaves_rows(cursor, context):
                    context._perftui_unfetched = Unfetched(record, request, self, "", None, None)
                else:
                    self._put(record)
                return
            shape = known.shape
            slow = ended_ns - started_ns >= self._slow_ns
            if ended_ns - started_ns > shape.slowest_ns and cursor is not None and not failed:
                self._keep_if_whole(shape, ended_ns - started_ns, text, parameters, context, cursor)
            wanted = slow or failed or shape.call_site_wanted
            binds = None
            if request is not None and not request.followed:
                if (
                    not wanted
                    and (cursor is None or not self._leaves_rows(cursor, context))
                    and count(request, shape, ended_ns - started_ns)
                ):
                    return
            elif request is not None and known.compared:
                if type(parameters) is tuple and len(parameters) <= MAX_BINDS:
                    try:
                        binds = hash((SALT, parameters))
                    except TypeError:
                        binds = hash_of_binds(parameters)
                else:
                    binds = hash_of_binds(parameters)
                runs = request.runs
                if runs is None:
                    request.runs = {shape: 0}
                elif shape not in runs:
                    if len(runs) >= MAX_RUNS:
                        runs.clear()
                    runs[shape] = 0
                else:
                    run = runs[shape] = runs[shape] + 1
                    if run >= RUN_WITH_CALL_SITE and not run & (run - 1) and not known.many:
                        wanted = True
            place = ""
            if binds is not None:
                binds ^= known.literals
            if wanted:
                shape.call_site_wanted = False
                place = call_site()
            record = StatementRecord(
                None, shape.kind, "", started_ns, ended_ns, failed, known, binds, place, slow
            )
            if cursor is not None and not failed and self._leaves_rows(cursor, context):
                context._perftui_unfetched = Unfetched(
                    record, request, self, text, parameters, context.root_connection
                )
            elif request is None or not hand_over(request, record):
                record.request = request
                self._put(record)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a statement
            self._guard.fault("probes.sqlalchemy", error)

    def _known_by_original(self, text: str, context: Any) -> StatementText | None:
        """Look for a statement under the text it had before others added a comment, each time another."""
        original = getattr(context, "statement", None)
        if type(original) is str and original is not text and "/*" in text and text.startswith(original):
            return self._known(hash(original))
        return None

    def _leaves_rows(self, cursor: Any, context: Any) -> bool:
        """Say whether there are rows to be fetched from a cursor that has executed something."""
        if context is None:
            return False
        kind = cursor.__class__
        fetches = self._fetched_from.get(kind)
        if fetches is None:
            # Those of async drivers fetch all rows at once, unless they are server-side.
            fetches = self._fetched_from[kind] = getattr(kind, "server_side", True) is not False
        # A server-side cursor may describe its rows with the first of them only.
        return fetches and (cursor.description is not None or getattr(context, "_is_server_side", False))

    def _keep_if_whole(
        self, shape: Shape, ns: int, text: str, parameters: Any, context: Any, cursor: Any
    ) -> None:
        """Keep the slowest run of a shape so far, unless there are rows to come: see `rows_are_fetched`."""
        if context is not None and not self._leaves_rows(cursor, context):
            shape.slowest_ns = ns
            if self._keeps_runs:
                shape.slowest = kept_run(ns, text, parameters, context.root_connection.engine)

    def rows_are_fetched(self, unfetched: Unfetched, record: StatementRecord) -> None:
        """Hand over a record that was kept; wherever its result ends, a finalizer included."""
        request = unfetched.request
        try:
            ns = record.ended_ns - record.started_ns
            if not record.slow and ns >= self._slow_ns:
                record.slow = True
                record.call_site = record.call_site or call_site()
            known = record.known
            if known is not None and ns > known.shape.slowest_ns and not record.failed:
                known.shape.slowest_ns = ns
                if self._keeps_runs:
                    engine = unfetched.connection.engine
                    known.shape.slowest = kept_run(ns, unfetched.text, unfetched.parameters, engine)
            if request is not None:
                if record.known is None:
                    pass
                elif not (request.followed or record.slow or record.failed or record.call_site):
                    if count(request, record.known.shape, record.ended_ns - record.started_ns):
                        return
                elif hand_over(request, record):
                    return
                record.request = request
            self._put(record)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a statement
            self._guard.fault("probes.sqlalchemy", error)

    def is_on(self) -> bool:
        """Say whether anybody wants to know of a step."""
        return self._attached and self._sink.open

    def step_is_over(self, name: str, started_ns: int, ns: int, connection: Any, *, failed: bool) -> None:
        """Put the record of what is no statement: see `transactions`."""
        self._record(started_ns, started_ns + ns, name, None, connection, failed=failed)

    def _of_unknown(
        self,
        request: RequestRecord | None,
        started_ns: int,
        ended_ns: int,
        text: str,
        parameters: Any,
        context: Any,
        failed: bool,
    ) -> StatementRecord:
        """Return a record with a text that is met for the first time: the agent's thread will read it."""
        record = StatementRecord(request, "sql", "", started_ns, ended_ns, failed)
        original = getattr(context, "statement", None)
        if type(original) is str and text.startswith(original):
            text = original
        record.text = kept_of(text)
        record.text_hash = hash(text)
        record.engine = getattr(getattr(context, "root_connection", context), "engine", None)
        record.database = database_of(record.engine)
        record.binds = hash_of_binds(parameters) if request is not None and request.followed else None
        record.slow = ended_ns - started_ns >= self._slow_ns
        if self._keeps_runs:
            record.parameters, record.keeps_run = parameters, True
        if self._new_call_sites > 0:
            self._new_call_sites -= 1
            record.call_site = call_site()
        return record


def imported_sqlalchemy() -> Any | None:
    """Return the sqlalchemy package if the app has imported all of it; import nothing."""
    module = sys.modules.get("sqlalchemy")
    if module is None or getattr(module.__spec__, "_initializing", False):
        return None
    # Another thread may be half-way through it: the package's last import is done when it has this.
    return module if hasattr(module, "create_engine") and hasattr(module, "event") else None


def _with_subclasses(cls: type) -> Iterator[type]:
    yield cls
    subclasses: list[type] = cls.__subclasses__()
    for subclass in subclasses:
        yield from _with_subclasses(subclass)
