"""Sees every statement that SQLAlchemy runs: sync and async, of engines made earlier or later.

Listens on the Engine class. From `before_cursor_execute` to `after_cursor_execute` or `handle_error`
(which cancelled statements reach too) the moment a statement began is kept on its execution context,
so nothing outlives it. What comes out is one record per statement that went to the driver: an
insert in three batches is three. Measured is the driver's execute; rows that are fetched later
(server-side cursors, sync sqlite3) are not in it. Statements on a raw DBAPI connection are not seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Protocol

from perftui_agent.guard import Guard
from perftui_agent.probes.binds import hash_of_binds
from perftui_agent.probes.call_sites import call_site
from perftui_agent.probes.databases import database_of
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.records import StatementRecord, StatementText, current_request, kept_of
from perftui_agent.wire.frames import Frame

NEW_CALL_SITES_A_SECOND = 50
"""Of texts met for the first time; an app that never sends the same text twice must not pay for each."""

RUN_WITH_CALL_SITE = 2
"""The third execution in a row by one request brings its call site: that is where repetition begins."""


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

    def __init__(self, sink: StatementSink, guard: Guard, slow_query_ms: float) -> None:
        self._sink = sink
        self._guard = guard
        self._slow_ns = int(slow_query_ms * 1_000_000)

    def attach(self) -> ProbeStatus:
        """Listen on the Engine class, once in the life of the process."""
        sqlalchemy = imported_sqlalchemy()
        if sqlalchemy is None:
            return NOT_IMPORTED
        try:
            _listen(sqlalchemy)
        except Exception as error:  # noqa: BLE001 - an unknown version is no fault of the app
            return f"off: SQLAlchemy {sqlalchemy.__version__}: {error}"
        _listeners.report_to(self._sink, self._guard, self._slow_ns)
        return ON

    def detach(self) -> None:
        """Report to nobody: without a sink the listeners return at once."""
        _listeners.report_to(None, self._guard, self._slow_ns)

    def fill(self, _frame: Frame) -> None:
        """Let new texts bring their call sites again."""
        _listeners.new_call_sites = NEW_CALL_SITES_A_SECOND


def imported_sqlalchemy() -> Any | None:
    """Return the sqlalchemy package if the app has imported all of it; import nothing."""
    module = sys.modules.get("sqlalchemy")
    if module is None or getattr(module.__spec__, "_initializing", False):
        return None
    # Another thread may be half-way through it: the package's last import is done when it has this.
    return module if hasattr(module, "create_engine") and hasattr(module, "event") else None


class _Listeners:
    """The functions that SQLAlchemy calls: one set per process, reporting to whoever attached last.

    They are never taken off again: a thread that is walking through them just then would trip.
    """

    def __init__(self) -> None:
        self.listening = False
        self.new_call_sites = NEW_CALL_SITES_A_SECOND
        self._sink: StatementSink | None = None
        self._known: Callable[[int], StatementText | None] = dict[int, StatementText]().get
        self._guard = Guard()
        self._slow_ns = 0

    def report_to(self, sink: StatementSink | None, guard: Guard, slow_ns: int) -> None:
        """Put records there from now on; nowhere without a sink."""
        self._guard = guard
        self._slow_ns = slow_ns
        if sink is not None:
            self._known = sink.known_texts.get
        self._sink = sink

    def before(
        self, _conn: Any, _cursor: Any, statement: str, parameters: Any, context: Any, _executemany: bool
    ) -> tuple[str, Any]:
        """Note when a statement begins, and its text: other listeners may rewrite it, each time anew."""
        sink = self._sink
        if sink is not None and sink.open:
            try:
                context._perftui_began = perf_counter_ns(), statement
            except AttributeError as error:
                self._guard.fault("probes.sqlalchemy", error)
        return statement, parameters

    def after(
        self, conn: Any, _cursor: Any, _statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        """Put the record of a statement that the database has executed."""
        ended_ns = perf_counter_ns()
        began = getattr(context, "_perftui_began", None)
        if began is None:
            return
        context._perftui_began = None
        try:
            self._close(conn, began, ended_ns, None if executemany else parameters, failed=False)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a statement
            self._guard.fault("probes.sqlalchemy", error)

    def failed(self, exception: Any) -> None:
        """Put the record of a statement that has failed or was cancelled; the exception is left alone."""
        ended_ns = perf_counter_ns()
        context = exception.execution_context
        began = getattr(context, "_perftui_began", None)
        if began is None:
            return
        context._perftui_began = None
        try:
            self._close(exception.connection, began, ended_ns, None, failed=True)
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("probes.sqlalchemy", error)

    def _close(
        self, conn: Any, began: tuple[int, str], ended_ns: int, parameters: Any, *, failed: bool
    ) -> None:
        sink = self._sink
        if sink is None:
            return
        started_ns, text = began
        request = current_request.get()
        text_hash = hash(text)
        known = self._known(text_hash)
        if known is None:
            record = StatementRecord(request, "sql", "", started_ns, ended_ns, failed)
            record.text = kept_of(text)
            record.text_hash = text_hash
            record.engine = conn.engine
            record.database = database_of(conn.engine)
            record.binds = hash_of_binds(parameters)
            record.slow = ended_ns - started_ns >= self._slow_ns
            if self.new_call_sites > 0:
                self.new_call_sites -= 1
                record.call_site = call_site()
            sink.put(record)
            return
        shape = known.shape
        slow = ended_ns - started_ns >= self._slow_ns
        wanted = slow or failed or shape.call_site_wanted
        binds = None
        if request is not None and known.compared:
            binds = hash_of_binds(parameters)
            if shape.run_of != request.started_ns:
                shape.run_of = request.started_ns
                shape.run = 0
            elif not known.many:
                shape.run = run = shape.run + 1
                if run == RUN_WITH_CALL_SITE:
                    wanted = True
        place = ""
        if wanted:
            shape.call_site_wanted = False
            place = call_site()
        sink.put(StatementRecord(request, "sql", "", started_ns, ended_ns, failed, known, binds, place, slow))


_listeners = _Listeners()


def _listen(sqlalchemy: Any) -> None:
    if _listeners.listening:
        return
    # As the class has them, they count for every engine and subclass, whenever it is made.
    engine = sqlalchemy.engine.Engine
    listen = sqlalchemy.event.listen
    listen(engine, "after_cursor_execute", _listeners.after)
    listen(engine, "handle_error", _listeners.failed)
    # Last, and with `retval`, which saves a wrapper's call per statement: without it the others do nothing.
    listen(engine, "before_cursor_execute", _listeners.before, retval=True)
    _listeners.listening = True
