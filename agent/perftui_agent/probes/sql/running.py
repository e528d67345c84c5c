"""Which statements are under way right now, found where they run: asked for seldom, it costs them nothing.

To note each statement as it begins would cost every one of them. The frame in which the agent times it is on
a thread's stack meanwhile, or, of an async engine, in the greenlet that a waiting task has started: it knows
the statement, its cursor, and when it began.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from time import perf_counter_ns
from types import FrameType
from typing import Any

from perftui_agent.await_chain import chain_of
from perftui_agent.foreign_frames import current_frames, frame_of_greenlet, locals_of, stack_of

_TIMED = "timed"
_FILE = "probes/sql/sqlalchemy.py"

_SPAWN = "greenlet_spawn"

MAX_FRAMES = 200
MAX_TASKS = 500

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER", "VACUUM", "REINDEX"})
_BEGINS = frozenset({"IMMEDIATE", "EXCLUSIVE"})


def writes_under_way(loop: asyncio.AbstractEventLoop | None) -> dict[int, int]:
    """Return for how long each statement that takes SQLite's write lock has been under way, by connection.

    A connection is known by the `id` of what the pool has: the driver's, or SQLAlchemy's adaption of it.
    """
    now_ns = perf_counter_ns()
    found: dict[int, int] = {}
    for innermost in (*current_frames().values(), *_greenlets(loop)):
        for frame in stack_of(innermost, MAX_FRAMES):
            if frame.f_code.co_name != _TIMED or not frame.f_code.co_filename.endswith(_FILE):
                continue
            names = locals_of(frame)
            cursor, statement = names.get("cursor"), names.get("statement")
            connection = getattr(cursor, "_adapt_connection", None) or getattr(cursor, "connection", None)
            if connection is not None and isinstance(statement, str) and takes_the_lock(statement):
                found[id(connection)] = max(0, now_ns - names.get("started_ns", now_ns))
            break
    return found


def takes_the_lock(statement: str) -> bool:
    """Say whether a statement writes, or begins by taking SQLite's write lock."""
    words = statement[:2_000].upper().split(None, 2)
    if not words:
        return False
    if words[0] == "BEGIN":
        return len(words) > 1 and words[1].rstrip(";") in _BEGINS
    return words[0] in _WRITES or (words[0] == "WITH" and " INTO " in statement[:20_000].upper())


def _greenlets(loop: asyncio.AbstractEventLoop | None) -> Iterator[FrameType]:
    """Yield the innermost frame of each greenlet that a task of the loop waits for."""
    if loop is None or "greenlet" not in sys.modules:
        return
    for task in list(asyncio.all_tasks(loop))[:MAX_TASKS]:
        frames, _ = chain_of(task)
        for frame in frames:
            if frame.f_code.co_name == _SPAWN:
                greenlet: Any = locals_of(frame).get("context")
                innermost = frame_of_greenlet(greenlet)
                if innermost is not None:
                    yield innermost
