"""A database as it says it is, joined with what each worker knows of its own connections.

The database tells of sessions by the pids of its backends; each worker says which of these are its own, and
for which request it has them. Pure: takes looks and holdings, gives what is to be shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from perftui.record import Record
from perftui_agent.wire.database import (
    DatabaseLook,
    DatabaseSession,
    HeldConnection,
    LockWait,
    SqliteFile,
    StatementCost,
    TableUse,
)
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.parts import RouteLabel, WorkerId

IDLE_WITHIN = "idle in transaction"

SEEMS_TO_WAIT_NS = 300_000_000
"""SQLite tells nobody who waits: somebody else has the lock, and a statement that needs it takes so long."""


class Holder(Record, frozen=True):
    """A connection of a worker's, and whose it is."""

    worker: WorkerId
    pid: int
    held: HeldConnection


class SessionRow(Record, frozen=True):
    """A session of the database's, and who of ours has it."""

    session: DatabaseSession
    worker: WorkerId | None = None
    worker_pid: int | None = None
    route: RouteLabel | None = None
    """Of the request that checked its connection out; None if it is none of ours, or none checked it out."""
    held: bool = False
    """Whether it is checked out still."""
    in_flight: bool = False
    """Whether that request goes on."""
    blocks: int = 0
    """How many sessions wait for it, directly or not."""

    @property
    def pid(self) -> int:
        """The pid of its backend."""
        return self.session.pid

    @property
    def ours(self) -> bool:
        """Whether a worker of the service has it."""
        return self.worker is not None

    @property
    def idles_within(self) -> bool:
        """Whether it is in a transaction and does nothing."""
        return self.session.state.startswith(IDLE_WITHIN)

    @property
    def age_ms(self) -> float | None:
        """How long it has been in its transaction; in none, in its state."""
        ns = self.session.transaction_ns if self.session.transaction_ns is not None else self.session.state_ns
        return None if ns is None else ns / 1e6

    @property
    def state_ms(self) -> float | None:
        """How long it has been in its state."""
        return None if self.session.state_ns is None else self.session.state_ns / 1e6

    @property
    def who(self) -> str:
        """What people call it: its route, or what it calls itself."""
        if self.route:
            return self.route
        if self.ours:
            return "no request"
        return self.session.application or self.session.user or "another session"


class LockRow(Record, frozen=True):
    """One session that waits for another."""

    blocked: int
    by: int
    """The one right before it in the queue; 0: a prepared transaction, which no session has."""
    root: int
    """The one that all of them wait for: it waits for none itself."""
    on: str
    mode: str
    waits_ms: float | None


class DatabaseView(Record, frozen=True):
    """What there is to show of one database."""

    look: DatabaseLook
    sessions: tuple[SessionRow, ...] = ()
    """Those that others wait for first, then as the database told of them."""
    locks: tuple[LockRow, ...] = ()
    """The longest wait first."""
    holders: tuple[Holder, ...] = ()
    """The connections of all workers to this database."""
    why: tuple[str, ...] = ()
    """What made an agent look by itself."""

    @property
    def name(self) -> str:
        """What the database is called."""
        return self.look.database or self.look.engine

    @property
    def sqlite(self) -> SqliteFile | None:
        """What is told of a file."""
        return self.look.sqlite

    @property
    def statements(self) -> list[StatementCost]:
        """What statements have cost the server."""
        return self.look.statements

    @property
    def tables(self) -> list[TableUse]:
        """The tables that the service's statements use."""
        return self.look.tables

    @property
    def open_connections(self) -> int | None:
        """How many connections there may be for all but superusers."""
        if self.look.connections_max is None:
            return None
        return max(0, self.look.connections_max - self.look.connections_reserved)

    def session(self, pid: int) -> SessionRow | None:
        """Return a session by the pid of its backend."""
        return next((row for row in self.sessions if row.pid == pid), None)

    @property
    def writer(self) -> Holder | None:
        """The connection that has SQLite's write lock: of its process's, the one in a transaction.

        Of several the one that isn't about to write: who waits for the lock has begun one as well.
        """
        if self.sqlite is None or not self.sqlite.writer:
            return None
        within = [
            each for each in self.holders if each.pid == self.sqlite.writer and each.held.in_transaction
        ]
        return max(within, key=lambda each: (each.held.writing_ns is None, each.held.age_ns), default=None)

    @property
    def waiting_for_writer(self) -> tuple[Holder, ...]:
        """The connections that seem to wait for it: a statement that needs the lock is under way for long."""
        writer = self.writer
        waiting = [
            each
            for each in self.holders
            if each is not writer and (each.held.writing_ns or 0) >= SEEMS_TO_WAIT_NS
        ]
        waiting.sort(key=lambda each: -(each.held.writing_ns or 0))
        return tuple(waiting) if writer is not None else ()

    @property
    def roots(self) -> tuple[int, ...]:
        """Those that others wait for and that wait for none, the one that holds up most first."""
        roots = dict.fromkeys(row.root for row in self.locks)
        return tuple(sorted(roots, key=lambda pid: -sum(row.root == pid for row in self.locks)))

    @property
    def unmatched(self) -> bool:
        """Whether the workers have connections, and none of them is a session here: a pooler in between."""
        known = [each for each in self.holders if each.held.session is not None]
        return self.look.kind == "postgresql" and bool(known) and not any(row.ours for row in self.sessions)


class Databases(Record, frozen=True):
    """What came of asking."""

    views: tuple[DatabaseView, ...] = ()
    """The one with the most connections of ours first; those that can't be told of last."""
    answered: int = 0
    known: int = 0
    """Workers: whose the sessions of the others are can't be told."""
    refusals: Mapping[int, Refusal] = MappingProxyType({})
    """Why, by pid."""
    at: float = 0.0
    told: object = None
    """What it was made of, as a recording keeps it; see `model.asked`."""


def joined(look: DatabaseLook, holders: Iterable[Holder], why: Iterable[str] = ()) -> DatabaseView:
    """Return a database with each of its sessions given to whoever has it."""
    ours = tuple(each for each in holders if _is_of(each.held.database, look.database))
    by_session = {each.held.session: each for each in sorted(ours, key=lambda each: each.held.held)}
    locks = _lock_rows(look.locks)
    nearest: dict[int, list[int]] = {}
    for row in locks:
        nearest.setdefault(row.blocked, []).append(row.by)
    blocks = Counter(pid for row in locks for pid in _way([row.by], nearest))
    rows = [_row(each, by_session.get(each.pid), blocks[each.pid]) for each in look.sessions]
    rows.sort(key=lambda row: -row.blocks)
    return DatabaseView(look, tuple(rows), locks, ours, tuple(dict.fromkeys(why)))


def from_frames(frames: Mapping[WorkerId, Frame], pids: Mapping[WorkerId, int]) -> tuple[DatabaseView, ...]:
    """Return what agents have seen of their own accord: the newest look at each database."""
    news = {worker: frame.database for worker, frame in frames.items() if frame.database is not None}
    holders = [
        Holder(worker, pids.get(worker, 0), held) for worker, each in news.items() for held in each.held
    ]
    newest: dict[tuple[str, str], DatabaseLook] = {}
    for each in news.values():
        for look in each.looks:
            key = look.kind, look.database
            if key not in newest or look.taken_at > newest[key].taken_at:
                newest[key] = look
    why = [reason for each in news.values() for reason in each.why]
    return tuple(joined(look, holders, why) for _, look in sorted(newest.items()))


def _row(session: DatabaseSession, holder: Holder | None, blocks: int) -> SessionRow:
    row = SessionRow(session, blocks=blocks)
    if holder is None:
        return row
    return replace(
        row,
        worker=holder.worker,
        worker_pid=holder.pid,
        route=holder.held.route or None,
        held=holder.held.held,
        in_flight=holder.held.in_flight,
    )


def _is_of(held: str, database: str) -> bool:
    """Say whether a connection goes to the server that was asked: its pids are that server's alone."""
    server = database.rpartition("/")[0]
    return held == database or (bool(server) and held.rpartition("/")[0] == server)


def _lock_rows(waits: list[LockWait]) -> tuple[LockRow, ...]:
    every = {wait.blocked: wait.by for wait in waits}
    nearest = {blocked: _nearest(by, every) for blocked, by in every.items()}
    return tuple(
        LockRow(
            blocked=wait.blocked,
            by=by,
            root=_way([by], nearest)[-1],
            on=wait.on,
            mode=wait.mode,
            waits_ms=None if wait.waits_ns is None else wait.waits_ns / 1e6,
        )
        for wait in waits
        for by in nearest[wait.blocked]
    )


def _nearest(by: list[int], every: Mapping[int, list[int]]) -> list[int]:
    """Return whom a session waits for directly.

    The server tells of all that are before it in a queue: the last of these has the most before itself. Who
    holds a lock and waits for nobody is told of where that one doesn't wait for it anyway.
    """
    waiting = [pid for pid in by if pid in every]
    if not waiting:
        return by
    last = max(waiting, key=lambda pid: len(every[pid]))
    return [last, *(pid for pid in by if pid not in every and pid not in every[last])]


def _way(way: list[int], nearest: Mapping[int, list[int]]) -> list[int]:
    """Return a way with what is before its last one, to its end; in a deadlock, once around."""
    while (ahead := nearest.get(way[-1])) and ahead[0] not in way:
        way.append(ahead[0])
    return way
