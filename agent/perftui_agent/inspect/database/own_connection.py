"""A connection of the agent's own to a database of the app's, to read what the app's can't tell.

It is made as the engine makes its own (the same driver and arguments, `do_connect` and `connect` listeners,
a `creator`), but belongs to no pool, is counted as none of the app's, and what is asked on it goes to the
driver directly, past whatever watches the app's statements. All of it happens on a thread that is there for
this alone, an async driver on an event loop of its own: the app's loop and the agent's go on. There is one
at a time in a process; each is on record, only reads, and is closed when its time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from functools import partial
from time import monotonic
from typing import Any, Generic, TypeVar

from perftui_agent.engines import EngineId, Engines
from perftui_agent.inspect.audit import AuditTrail
from perftui_agent.inspect.database.read_only import (
    KINDS,
    Ask,
    CannotAskError,
    is_full,
    refuse_unfit,
    why_none,
)
from perftui_agent.inspect.text import printable

T = TypeVar("T")

THREAD = "perftui-database"

CLOSE_WITHIN_S = 1.0
"""What is late is waited for so much longer: a server's own time-out comes first, and says more."""

GIVES_WAY_WITHIN_S = 1.0

_ONCE_ONLY = ("sqlalchemy.util.langhelpers", "sqlalchemy.engine.default")
"""Where `connect` listeners come from that are not for us: what an engine does with its first connection
alone, and its isolation level."""


class OwnConnections:
    """Opens connections of our own, one at a time; belongs to the agent's loop."""

    def __init__(self, engines: Engines, audit: AuditTrail | None = None) -> None:
        self._engines = engines
        self._audit = audit or AuditTrail()
        self._busy = threading.Lock()
        self._gives_way: threading.Event | None = None
        """Of the connection that is open: to be set where it ends early if somebody else wants one."""

    async def over(
        self,
        engine: EngineId | Any,
        work: Callable[[Ask], T],
        *,
        seconds: float,
        why: str,
        gives_way: threading.Event | None = None,
    ) -> T:
        """Return what `work` makes of a connection to the database of `engine`, given or by its id.

        `work` is called on another thread, for an async driver within one of SQLAlchemy's greenlets: it may
        ask, and nothing else that takes time. `why` says in the audit trail who wants what; `gives_way` is
        set when somebody else wants a connection, and `work` is to end. Raises `CannotAskError` where there
        is no such connection, and what `work` raises.
        """
        name = engine if isinstance(engine, str) else _name_of(self._engines, engine)
        found = self._engines.get(engine) if isinstance(engine, str) else engine
        if found is None:
            raise CannotAskError(f"the app has no engine {printable(name, 100)} any more")
        refuse_unfit(found)
        if not await self._is_free(yields=gives_way is None):
            raise CannotAskError(
                "a connection of perftui's is open still", "ask again in a second", in_use=True
            )
        self._gives_way = gives_way
        if gives_way is not None:
            gives_way.clear()
        call = _Call(found, work, seconds)
        began_s = monotonic()
        try:
            threading.Thread(target=self._run, args=(call,), name=THREAD, daemon=True).start()
        except BaseException as error:
            self._busy.release()
            raise CannotAskError(f"no thread can be started here: {type(error).__name__}") from error
        outcome = "interrupted"
        try:
            result = await asyncio.wait_for(asyncio.wrap_future(call.future), seconds + CLOSE_WITHIN_S)
            outcome = "done"
            return result
        except TimeoutError:
            outcome = f"no answer in {seconds:g} s"
            raise CannotAskError(
                f"the database {printable(name, 100)} gave no answer in {seconds:g} s"
            ) from None
        except Exception as error:
            outcome = str(error)
            raise
        finally:
            call.give_up()
            took_ms = (monotonic() - began_s) * 1000
            self._audit.write(
                f"a connection of perftui's own to {name} for {why}: {outcome}"
                f" ({call.asked} statements, {took_ms:.0f} ms)"
            )

    async def _is_free(self, *, yields: bool) -> bool:
        """Take the one there may be; where the open one gives way, wait for that."""
        until_s = monotonic() + GIVES_WAY_WITHIN_S
        while not self._busy.acquire(blocking=False):
            open_one = self._gives_way
            if not yields or open_one is None or monotonic() >= until_s:
                return False
            open_one.set()
            await asyncio.sleep(0.01)
        return True

    def _run(self, call: _Call[Any]) -> None:
        tell = call.run()
        # First: who hears of it may ask for the next one at once.
        self._busy.release()
        with contextlib.suppress(InvalidStateError):  # nobody waits any more
            tell()


class _Call(Generic[T]):
    """One connection, from its beginning to its end, on the thread that is there for it."""

    def __init__(self, engine: Any, work: Callable[[Ask], T], seconds: float) -> None:
        self._engine = engine
        self._work = work
        self._seconds = seconds
        self._until_s = monotonic() + seconds
        self.future: Future[T] = Future()
        self.asked = 0
        self._given_up = False
        self._task: tuple[asyncio.AbstractEventLoop, asyncio.Task[T]] | None = None

    def give_up(self) -> None:
        """End it early, as far as that can be done from outside; on the agent's thread."""
        self._given_up = True
        if self._task is not None and not self.future.done():
            loop, task = self._task
            with contextlib.suppress(RuntimeError):  # the loop has been closed: it is over
                loop.call_soon_threadsafe(task.cancel)

    def run(self) -> Callable[[], None]:
        """Do it all; return what tells the future what came of it. Never raises."""
        try:
            if self._engine.dialect.is_async:
                # Not the policy's loop: that may be uvloop, and the app's affair.
                with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                    result = runner.run(self._in_loop())
            else:
                result = self._ask()
        except asyncio.CancelledError:
            late = CannotAskError(f"the database gave no answer in {self._seconds:g} s")
            return partial(self.future.set_exception, late)
        except BaseException as error:  # noqa: BLE001 - whatever a driver or a listener of the app's raises
            return partial(self.future.set_exception, error)
        return partial(self.future.set_result, result)

    async def _in_loop(self) -> T:
        task = asyncio.current_task()
        if task is not None:
            self._task = asyncio.get_running_loop(), task
        if self._given_up:
            raise asyncio.CancelledError
        spawn = sys.modules["sqlalchemy"].util.greenlet_spawn
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._seconds):
                result: T = await spawn(self._ask)
                return result
        except TimeoutError:
            raise CannotAskError(f"the database gave no answer in {self._seconds:g} s") from None

    def _ask(self) -> T:
        pool, dialect = self._engine.pool, self._engine.dialect
        # Not the pool's: it only carries what listeners keep with a connection.
        record = sys.modules["sqlalchemy"].pool.base._ConnectionRecord(pool, connect=False)
        try:
            connection = pool._invoke_creator(record)
        except Exception as error:
            raise CannotAskError(
                f"no connection as the app makes them: {why_none(error)}",
                "free some at the database: its connections are all in use" if is_full(error) else "",
                full=is_full(error),
            ) from error
        try:
            record.dbapi_connection = connection
            for listener in pool.dispatch.connect:
                if getattr(listener, "__module__", "") not in _ONCE_ONLY:
                    listener(connection, record)
            if self._given_up:
                raise CannotAskError("nobody waits for it any more")
            ask = KINDS[dialect.name](connection, dialect, self._until_s)
            try:
                return self._work(ask)
            finally:
                self.asked = ask.asked
        finally:
            # Each of them, though the time may be over in the midst of one.
            with contextlib.suppress(Exception, asyncio.CancelledError):
                connection.rollback()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                for listener in pool.dispatch.close:
                    listener(connection, record)
            with contextlib.suppress(Exception, asyncio.CancelledError):
                connection.close()


def _name_of(engines: Engines, engine: Any) -> str:
    return next((name for name, known in engines.all().items() if known is engine), engine.dialect.name)
