"""Waits of statements for locks, as far as somebody has looked.

To know of each statement whether it waits would cost every one of them. So who looks at what is stuck, here
or at the server, leaves what it saw with the request, and when that is folded the statement says when it
began and ended. Moments are `perf_counter_ns`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from perftui_agent.records import RequestRecord, StatementRecord

MAX_WAITS = 100
"""Of one request that are kept until they are folded."""

KIND, KIND_IN_TRANSACTION = "lock", "transaction-lock"
"""Kinds of spans: of a statement's time, and of that of a step of a transaction."""


class Stuck(NamedTuple):
    """A connection that is out to a request, which has not got on for a while."""

    database: str
    engine: str
    """By its pool's name."""
    session: int | None
    """The pid of the server's backend."""
    request: RequestRecord
    since_ns: int
    """When the request was last seen to have done something else."""
    out_ns: int
    """When it got the connection."""
    waits_in_sqlite: bool = False
    """Whether its thread sleeps within SQLite, which it does for nothing but somebody else's lock."""


class LockSeen(msgspec.Struct, eq=False):
    """One wait, from the first look at it on."""

    on: str
    """`a row of items`."""
    since_ns: int
    """When it began; 0: with its statement."""
    first_ns: int
    last_ns: int
    """When it was seen first, and last."""
    over_ns: int = 0
    """When it was first seen to be over."""


def see(stuck: Stuck, on: str, since_ns: int, at_ns: int) -> None:
    """Leave with a request that it waits at a moment, and since when; 0: since its statement began."""
    request = stuck.request
    waits: list[LockSeen] = request.locks or []
    latest = waits[-1] if waits else None
    if latest is not None and (
        latest.first_ns >= stuck.since_ns
        if not since_ns
        else not latest.over_ns and since_ns <= latest.last_ns
    ):
        latest.last_ns, latest.over_ns = max(latest.last_ns, at_ns), 0
        return
    if latest is not None and not latest.over_ns:
        latest.over_ns = max(latest.last_ns, since_ns)
    if len(waits) < MAX_WAITS:
        request.locks = [*waits, LockSeen(on, since_ns, at_ns, at_ns)]


def see_none(stuck: Stuck, at_ns: int) -> None:
    """Leave with a request that it waits for no lock at a moment."""
    waits: list[LockSeen] | None = stuck.request.locks
    if waits and not waits[-1].over_ns and at_ns > waits[-1].last_ns:
        waits[-1].over_ns = at_ns


def waited_in(record: StatementRecord, wait: LockSeen) -> tuple[int, int] | None:
    """Return from when to when a statement that is over waited; None if it is not the one that did.

    A wait that was not seen to end has ended with its statement; one that was, half way between two looks.
    """
    if not record.started_ns <= wait.first_ns <= record.ended_ns:
        return None
    until_ns = record.ended_ns
    if wait.over_ns:
        until_ns = min(until_ns, (wait.last_ns + wait.over_ns) // 2)
    return max(record.started_ns, wait.since_ns), until_ns
