"""A database's own view of the sessions it has, and which request of which worker holds each of ours.

No single process knows both: a database knows its sessions by the pids of its backends, each worker which
of these its own connections are. So an agent tells of either, and who hears of all workers joins them. Texts
of statements are shapes: no value is in them.
"""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import Count
from perftui_agent.wire.parts import Part, Value


class HeldConnection(Value, frozen=True):
    """One connection of a worker's pools, and who has it, or had it last."""

    database: str = ""
    """What the database is called, without credentials: `db.internal:5432/shop`."""
    pool: str = ""
    session: int | None = None
    """The pid of the backend that serves it, as the driver was told of when it connected."""
    route: str = ""
    """Of the request that checked it out; empty for none."""
    held: bool = False
    """Whether it is checked out now."""
    in_flight: bool = False
    """Whether that request goes on."""
    age_ns: Count = 0
    """Since it was checked out last."""
    in_transaction: bool | None = None
    """As far as the driver itself can tell; a server tells more."""
    writing_ns: Count | None = None
    """Of SQLite: for how long a statement has been under way that takes the write lock."""


class DatabaseSession(Value, frozen=True):
    """One session, as PostgreSQL tells of it."""

    pid: int
    user: str = ""
    database: str = ""
    application: str = ""
    """What it calls itself."""
    state: str = ""
    """`active`, `idle`, `idle in transaction` …; empty if that takes a right that is lacking."""
    waits_for: str = ""
    """`Lock: transactionid`; empty for nothing, or for the CPU."""
    connected_ns: Count | None = None
    transaction_ns: Count | None = None
    """For how long it has been in a transaction; None if it is in none."""
    state_ns: Count | None = None
    statement_ns: Count | None = None
    """Since its last statement began."""
    statement: str = ""
    """Its last one, or the one that runs."""
    fingerprint: str = ""
    hidden: bool = False
    """Whether it is another user's, of which no more is told without a right."""


class LockWait(Value, frozen=True):
    """A session that waits for a lock."""

    blocked: int
    by: list[int] = msgspec.field(default_factory=list)
    """The sessions that it waits for, those before it in the queue included; 0: a prepared transaction."""
    on: str = ""
    """`a row of items`, `items`, `an advisory lock`."""
    mode: str = ""
    waits_ns: Count | None = None


class StatementCost(Value, frozen=True):
    """What a statement has cost the server since its figures were reset."""

    statement: str
    fingerprint: str
    calls: Count = 0
    total_ns: Count = 0
    mean_ns: Count = 0
    rows: Count = 0
    cache_hit: float | None = None


class TableUse(Value, frozen=True):
    """A table that the app's statements use."""

    table: str
    bytes: Count | None = None
    index_bytes: Count | None = None
    rows: Count = 0
    dead_rows: Count = 0
    sequential_scans: Count = 0
    rows_scanned: Count = 0
    """By those."""
    index_scans: Count = 0
    vacuumed_ns: Count | None = None
    """How long ago."""
    analyzed_ns: Count | None = None


class SqliteFile(Value, frozen=True):
    """A database that is a file."""

    journal_mode: str = ""
    busy_timeout_ms: int = 0
    """For how long the app's connections wait for a lock, before `database is locked`."""
    synchronous: int = 0
    page_bytes: Count = 0
    pages: Count = 0
    free_pages: Count = 0
    cache_bytes: Count = 0
    """Of the page cache that each connection may have."""
    wal_bytes: Count | None = None
    writer: int | None = None
    """The pid of the process that holds the write lock; 0: nobody does; None: it can't be told."""


class DatabaseLook(Value, frozen=True):
    """What one database said at one moment."""

    engine: str
    """By what name the agent knows the engine: its pool's."""
    kind: str
    """`postgresql`, `sqlite` …"""
    database: str = ""
    taken_at: Count = 0
    took_ns: Count = 0
    version: str = ""
    refused: str = ""
    """Why there is nothing else."""
    advice: str = ""
    full: bool = False
    """Whether it was refused since the server takes no more connections."""
    left_out: list[str] = msgspec.field(default_factory=list)
    """What is not told, and the right or extension that it takes."""
    user: str = ""
    connections_used: Count | None = None
    connections_max: Count | None = None
    connections_reserved: Count = 0
    """Of these, for superusers and the like alone."""
    applications: dict[str, Count] = msgspec.field(default_factory=dict)
    """Connections by what they call themselves, the most numerous first."""
    cache_hit: float | None = None
    deadlocks: Count | None = None
    sessions: list[DatabaseSession] = msgspec.field(default_factory=list)
    sessions_cut: Count = 0
    locks: list[LockWait] = msgspec.field(default_factory=list)
    statements: list[StatementCost] = msgspec.field(default_factory=list)
    tables: list[TableUse] = msgspec.field(default_factory=list)
    sqlite: SqliteFile | None = None


class DatabaseNews(Part):
    """What an agent has seen of its own accord, since it had a reason to look."""

    why: list[str] = msgspec.field(default_factory=list)
    """`a connection held for 4 s` …"""
    held: list[HeldConnection] = msgspec.field(default_factory=list)
    """Of this worker, those that have been held for long."""
    looks: list[DatabaseLook] = msgspec.field(default_factory=list)
    """This worker's last ones, as long as they say something of now. A sibling's may be newer."""


class DatabaseRequest(Part, tag="database"):
    """Asks for the databases' own view; or, without a look, only which sessions are this worker's."""

    id: str
    pid: int | None = None
    look: bool = True
    engines: list[str] = msgspec.field(default_factory=list)
    """By name; empty: all."""


class Database(Part, tag="database-result"):
    """The databases of one worker."""

    id: str
    pid: int
    taken_at: Count
    took_ns: Count
    engines: dict[str, str] = msgspec.field(default_factory=dict)
    """Those that the app uses, and what their databases are called."""
    held: list[HeldConnection] = msgspec.field(default_factory=list)
    looks: list[DatabaseLook] = msgspec.field(default_factory=list)
    note: str = ""
