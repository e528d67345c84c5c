"""Has a connection of our own do nothing but read, for a bounded time: each kind of database in its way.

Takes a DBAPI connection, or SQLAlchemy's adaption of an async driver's within one of its greenlets; gives
`Ask`, which takes statements as the driver does and gives rows as tuples. PostgreSQL is asked in a
transaction that the server itself holds to reading. All that is set is set for that transaction alone:
behind a pooler the session is not ours, and would be somebody else's next.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import monotonic
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]

LOCK_TIMEOUT_MS = 500
"""Catalogs are locked for moments only, but by a migration: then we don't stand in its way."""

APPLICATION = "perftui"
"""What the server's own view of its sessions calls ours."""

MOST_ROWS = 5_000

_STEPS_OF_SQLITE = 10_000
"""Of its virtual machine, between two looks at the clock: some 0.1 ms."""


class CannotAskError(Exception):
    """A connection of our own can't be had, or not so that it is safe to ask; says why, and what to do."""

    def __init__(self, reason: str, advice: str = "", *, full: bool = False, in_use: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice
        self.full = full
        """Whether the database takes no more connections."""
        self.in_use = in_use
        """Whether it is only that another connection of ours is open."""


class AskError(Exception):
    """A statement of ours failed."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        """What the database says of it, in one line."""
        self.code = code
        """SQLSTATE (`42501`: a right is lacking), or empty where the driver tells of none."""


class Ask:
    """Asks one database; used in the one thread or greenlet that it was made in."""

    kind = ""
    """As SQLAlchemy calls it: `postgresql`, `sqlite`."""

    def __init__(self, connection: Any, dialect: Any, until_s: float) -> None:
        self._connection = connection
        self._paramstyle = dialect.paramstyle
        self._until_s = until_s
        self.asked = 0
        """How many statements there were."""

    def __call__(self, text: str, parameters: Any = None) -> list[Row]:
        """Return the rows of a statement in the driver's own style; `AskError` if it fails."""
        raise NotImplementedError

    def rest(self) -> None:
        """Hold nothing until the next statement, neither a lock nor a transaction."""

    @property
    def seconds_left(self) -> float:
        """How long it may go on."""
        return max(0.0, self._until_s - monotonic())

    def mark(self, number: int) -> str:
        """Return what stands for the value number 1, 2 … of a sequence of parameters."""
        return {"qmark": "?", "format": "%s", "pyformat": "%s", "numeric": f":{number}"}.get(
            self._paramstyle, f"${number}"
        )

    def _rows(self, text: str, parameters: Any = None) -> list[Row]:
        self.asked += 1
        cursor = self._connection.cursor()
        try:
            if parameters is None:
                cursor.execute(text)
            else:
                cursor.execute(text, parameters)
            return [_tuple(row) for row in cursor.fetchmany(MOST_ROWS)] if cursor.description else []
        finally:
            cursor.close()


class AskPostgres(Ask):
    """Asks in read-only transactions: after a failure, which ends one, in a new one."""

    kind = "postgresql"

    def __init__(self, connection: Any, dialect: Any, until_s: float) -> None:
        super().__init__(connection, dialect, until_s)
        self._begun = False
        connection.rollback()  # what the app's own listeners have begun
        if getattr(connection, "autocommit", False):
            connection.autocommit = False
            if hasattr(connection, "isolation_level") and connection.isolation_level == "autocommit":
                connection.isolation_level = "read_committed"
        self._begin()

    def __call__(self, text: str, parameters: Any = None) -> list[Row]:
        """Return the rows of a statement in the driver's own style; `AskError` if it fails."""
        try:
            if not self._begun:
                self._begin()
            return self._rows(text, parameters)
        except Exception as error:
            self._begun = False
            self._connection.rollback()
            raise AskError(said(error), code_of(error)) from error

    def rest(self) -> None:
        """End the transaction: the next statement begins another."""
        if self._begun:
            self._begun = False
            self._connection.rollback()

    def _begin(self) -> None:
        self._rows("SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY")
        limit_ms = max(1, int(self.seconds_left * 1000))
        ((held, *_),) = self._rows(
            "SELECT /*perftui*/ current_setting('transaction_read_only') AS held,"
            f" set_config('statement_timeout', '{limit_ms}', true) AS a,"
            f" set_config('lock_timeout', '{min(LOCK_TIMEOUT_MS, limit_ms)}', true) AS b,"
            f" set_config('idle_in_transaction_session_timeout', '{limit_ms}', true) AS c,"
            f" set_config('application_name', '{APPLICATION}', true) AS d"
        )
        if held != "on":
            raise CannotAskError(
                "the database would not hold a transaction of perftui's to reading",
                "an engine whose connections are always in autocommit can't be used for it",
            )
        self._begun = True


class AskSqlite(Ask):
    """Asks in a connection that can't write, and is stopped when its time is over."""

    kind = "sqlite"

    def __init__(self, connection: Any, dialect: Any, until_s: float) -> None:
        super().__init__(connection, dialect, until_s)

        def is_late() -> bool:
            return monotonic() > until_s

        if hasattr(connection, "set_progress_handler"):
            connection.set_progress_handler(is_late, _STEPS_OF_SQLITE)
        else:
            connection.run_async(lambda theirs: theirs.set_progress_handler(is_late, _STEPS_OF_SQLITE))
        ((found_ms,),) = self._rows("PRAGMA busy_timeout")
        self.busy_timeout_ms = int(found_ms)
        """For how long the app's own connections, which are made alike, wait for a lock."""
        self._rows(f"PRAGMA busy_timeout = {LOCK_TIMEOUT_MS}")
        self._rows("PRAGMA query_only = 1")
        if self._rows("PRAGMA query_only") != [(1,)]:
            raise CannotAskError("SQLite would not hold a connection of perftui's to reading")
        files = [file for _, name, file in self._rows("PRAGMA database_list") if name == "main"]
        if not any(files):
            raise _in_memory()

    def __call__(self, text: str, parameters: Any = None) -> list[Row]:
        """Return the rows of a statement in the driver's own style; `AskError` if it fails."""
        try:
            return self._rows(text, parameters)
        except Exception as error:
            raise AskError(said(error), code_of(error)) from error


KINDS: dict[str, type[Ask]] = {AskPostgres.kind: AskPostgres, AskSqlite.kind: AskSqlite}


def refuse_unfit(engine: Any) -> None:
    """Raise `CannotAskError` for an engine whose database can't be asked, as far as its URL tells."""
    kind = engine.dialect.name
    if kind not in KINDS:
        raise CannotAskError(
            f"perftui asks PostgreSQL and SQLite; this database is of the kind {kind}",
            "its statements, pools and waits are in the SQL view all the same",
        )
    if getattr(engine.pool._creator, "__module__", "") == "sqlalchemy.ext.asyncio.engine":
        # Its locks and clients are the loop's that first waits with them: once ours, the app's would fail.
        raise CannotAskError(
            "the app opens its connections by a coroutine of its own (async_creator), for its own loop alone",
            "run it by hand with EXPLAIN; its statements are in the SQL view",
        )
    if type(engine.pool).__name__ == "StaticPool" and not _is_sqlalchemys(engine.pool._creator):
        # What it returns may be the one connection of the app's own, with a transaction under way.
        raise CannotAskError("the app has one connection, of its own making: there is no other one to ask on")
    if kind != AskSqlite.kind:
        return
    name = str(engine.url.database or "")
    path, _, options = name.removeprefix("file:").partition("?")
    if path in {"", ":memory:"} or "mode=memory" in options or engine.url.query.get("mode") == "memory":
        raise _in_memory()
    if not os.path.exists(path):
        # To connect would make an empty one.
        raise CannotAskError(f"there is no file {os.path.basename(path)} any more")


def _is_sqlalchemys(creator: Any) -> bool:
    return str(getattr(creator, "__module__", "")).startswith("sqlalchemy.")


def _in_memory() -> CannotAskError:
    return CannotAskError(
        "this SQLite database lives in the memory of the app's own connection: no other one can see it",
        "nobody else can wait for it, either; its statements are in the SQL view",
    )


_FULL = ("too many clients", "too many connections", "connection slots", "no more connections")
"""What servers and poolers say who take no more; the drivers that connect by libpq know no code."""


def is_full(error: BaseException) -> bool:
    """Tell from why a connection failed whether the database has none left."""
    return code_of(error) == "53300" or any(sign in said(error) for sign in _FULL)


def _tuple(row: Any) -> Row:
    return tuple(row.values()) if isinstance(row, Mapping) else tuple(row)


def said(error: BaseException) -> str:
    """Return what a driver says of a failure, in one line."""
    # Of SQLAlchemy's adaptions of async drivers the message begins with the driver's class.
    text = str(error).strip().partition("\n")[0]
    if text.startswith("<class "):
        text = text.partition(">: ")[2]
    return text or type(error).__name__


def why_none(error: BaseException) -> str:
    """Return why no connection was made, in one line.

    What the server or the system says is told as it is. A text of another kind is the app's own, or quotes
    what the app connects with, passwords included: of that the kind alone leaves the process.
    """
    is_of_server = type(error).__name__ == "OperationalError" or isinstance(error, OSError) or code_of(error)
    return said(error) if is_of_server else type(error).__name__


def code_of(error: BaseException) -> str:
    """Return the SQLSTATE of a failure; empty where the driver tells of none."""
    for name in ("sqlstate", "pgcode"):
        code = getattr(error, name, None)
        if isinstance(code, str):
            return code
    return ""
