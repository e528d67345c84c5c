"""What SQLAlchemy asks of a database beside statements: to commit, roll back, answer a ping, let go.

Told of like statements, by a name in the place of a text. Wrapped is SQLAlchemy's side of each call, so
that whatever a dialect or the app has put in a driver's place is part of it; and what the app's own
listeners do at a checkout or a checkin, which ask by the driver itself (`SET app.tenant`, a ping of their
own). Savepoints and most of two-phase transactions are statements, and seen as those. The BEGIN that a
driver sends of its own accord with the first statement can't be told from it, and is in its time.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Protocol

from perftui_agent.probes.patches import Patches
from perftui_agent.probes.sql.steps import Step, leave_out, open_steps

LEAST_NS = 10_000
"""What takes less has asked nobody: a rollback of nothing, a reset after a commit. A commit always counts."""

LEAST_AROUND_OTHERS_NS = 200_000
"""Of a call that is made of statements: what is left of it is SQLAlchemy's own work."""

LEAST_OF_LISTENERS_NS = 100_000
"""Of what listeners do as a connection is taken or given back: most only count, and ask nobody."""

COMMIT = "COMMIT"

DIALECT_STEPS = {"do_begin": "BEGIN", "set_isolation_level": "ISOLATION LEVEL"}
"""What a dialect has a method of its own for if its driver asks the server, and the base class nothing."""

_OF_CONNECTIONS = {
    "_commit_impl": COMMIT,
    "_rollback_impl": "ROLLBACK",
    "_prepare_twophase_impl": "PREPARE TRANSACTION",
    "_commit_twophase_impl": COMMIT,
    "_rollback_twophase_impl": "ROLLBACK",
}

_ENDS = ("_commit_impl", "_rollback_impl", "_reset")


class Told(Protocol):
    """Who is told of a step that is over: the probe."""

    def is_on(self) -> bool:
        """Say whether anybody wants to know."""

    def step_is_over(self, name: str, started_ns: int, ns: int, connection: Any, *, failed: bool) -> None:
        """Take a step, and the time it took itself; `connection` is SQLAlchemy's, or None."""


def wrap_transactions(sqlalchemy: Any, patches: Patches, told: Told) -> None:
    """Wrap SQLAlchemy's methods; AttributeError or KeyError if one is not there."""
    connection = sqlalchemy.engine.Connection
    pools = sqlalchemy.pool.base
    listeners = _PoolListeners(pools, patches, told)
    found = [(connection, method, name) for method, name in _OF_CONNECTIONS.items()] + [
        (pools._ConnectionFairy, "_reset", "RESET"),
        (pools.Pool, "_close_connection", "CLOSE"),
        (sqlalchemy.engine.default.DefaultDialect, "_do_ping_w_event", "PING"),
    ]
    wrapped = [
        (owner, method, timed_end(vars(owner)[method], name, told, listeners))
        if method in _ENDS
        else (owner, method, timed_step(vars(owner)[method], name, told))
        for owner, method, name in found
    ]
    for owner, method, ours in wrapped:
        patches.replace(owner, method, ours)


class _PoolListeners:
    """Wraps what calls a pool's listeners of checkout and checkin, once a pool is seen to have any.

    Around each checkout of a pool that has none it would cost 1.4 µs.
    """

    def __init__(self, pools: Any, patches: Patches, told: Told) -> None:
        self._fairy, self._record = pools._ConnectionFairy, pools._ConnectionRecord
        self._checkout = vars(self._fairy)["_checkout"].__func__
        self._checkin = vars(self._record)["checkin"]
        self._patches = patches
        self._told = told
        self.are_watched = False

    def watch(self) -> None:
        """Tell of what they do from the next connection on."""
        if self._told.is_on():
            self._patches.replace(self._fairy, "_checkout", classmethod(self._listened_checkout()))
            self._patches.replace(self._record, "checkin", self._listened_checkin())
            self.are_watched = True

    def _listened_checkout(self) -> Callable[..., Any]:
        checkout, told = self._checkout, self._told

        def timed(cls: Any, pool: Any, *args: Any, **options: Any) -> Any:
            if not pool.dispatch.checkout or not told.is_on():
                return checkout(cls, pool, *args, **options)
            return _listened("CHECKOUT", told, checkout, cls, pool, *args, **options)

        return timed

    def _listened_checkin(self) -> Callable[..., Any]:
        checkin, told = self._checkin, self._told

        def timed(record: Any, *args: Any, **options: Any) -> Any:
            if not record._ConnectionRecord__pool.dispatch.checkin or not told.is_on():
                return checkin(record, *args, **options)
            return _listened("CHECKIN", told, checkin, record, *args, **options)

        return timed


def _listened(name: str, told: Told, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    step = Step()
    failed = True
    try:
        result = call(*args, **options)
        failed = False
        return result
    finally:
        ns = step.end()
        if ns >= LEAST_OF_LISTENERS_NS:
            told.step_is_over(name, step.started_ns, ns, None, failed=failed)


def timed_step(call: Callable[..., Any], name: str, told: Told) -> Callable[..., Any]:
    """Return a method with each call of it told of."""
    least_ns = 0 if name in {COMMIT, "PING"} else LEAST_NS
    of_connections = name in _OF_CONNECTIONS.values()

    def timed(owner: Any, *args: Any, **options: Any) -> Any:
        if not told.is_on():
            return call(owner, *args, **options)
        connection = owner if of_connections else None
        step = Step()
        try:
            result = call(owner, *args, **options)
        except BaseException:
            told.step_is_over(name, step.started_ns, step.end(), connection, failed=True)
            raise
        ns = step.end()
        if ns >= (LEAST_AROUND_OTHERS_NS if least_ns and step.nested_ns else least_ns):
            # A ping that finds the connection dead says so.
            told.step_is_over(name, step.started_ns, ns, connection, failed=result is False)
        return result

    return timed


def timed_end(
    call: Callable[..., None], name: str, told: Told, listeners: _PoolListeners
) -> Callable[..., None]:
    """Return what ends a transaction, or resets a connection that is given back, with each call told of.

    As a step only where listeners may run something in it: every request ends one at least.
    """
    least_ns = 0 if name == COMMIT else LEAST_NS
    step = timed_step(call, name, told)
    of_connections = name in _OF_CONNECTIONS.values()

    def timed(owner: Any, *args: Any, **options: Any) -> None:
        if of_connections:
            listened_to = owner._has_events or owner.engine._has_events
        else:
            dispatch = owner._pool.dispatch
            listened_to = dispatch.reset
            if not listeners.are_watched and (dispatch.checkout or dispatch.checkin):
                listeners.watch()
        if listened_to or not told.is_on():
            step(owner, *args, **options)
            return
        started_ns = perf_counter_ns()
        failed = True
        try:
            call(owner, *args, **options)
            failed = False
        finally:
            ns = perf_counter_ns() - started_ns
            if open_steps:
                leave_out(ns)
            if ns >= least_ns or failed:
                told.step_is_over(name, started_ns, ns, owner if of_connections else None, failed=failed)

    return timed
