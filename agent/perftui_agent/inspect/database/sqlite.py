"""What SQLite says of its file, and which process holds the write lock.

SQLite keeps no list of who uses a file, but the kernel one of its locks: a writer has the byte of the
write-ahead log's index that stands for writing, or the one of the file that is reserved for who writes. The
file itself is never opened by hand: to close it again would take every lock of the process away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from perftui_agent.inspect.database.read_only import Ask
from perftui_agent.wire.database import DatabaseLook, SqliteFile

LOCKS = "/proc/locks"

_WRITES_LOG = 120
"""In the index of the log: `WAL_WRITE_LOCK`."""

_RESERVED = 0x40000001
"""In the file: `RESERVED_BYTE`."""


def look_at_sqlite(ask: Ask, engine: str, database: str) -> DatabaseLook:
    """Return what is to be told of a file."""
    left_out: list[str] = []
    path = next(file for _, name, file in ask("PRAGMA database_list") if name == "main")
    journal = str(_one(ask, "journal_mode"))
    page_bytes = int(_one(ask, "page_size"))
    cache = int(_one(ask, "cache_size"))
    writer = writer_of(path, journal)
    if writer is None:
        left_out.append("who holds the write lock: only Linux's list of locks (/proc/locks) tells")
    log_bytes = None
    if journal == "wal":
        try:
            log_bytes = os.path.getsize(f"{path}-wal")
        except OSError:
            log_bytes = 0
    return DatabaseLook(
        engine=engine,
        kind=ask.kind,
        database=database,
        version=str(ask("SELECT sqlite_version()")[0][0]),
        left_out=left_out,
        sqlite=SqliteFile(
            journal_mode=journal,
            busy_timeout_ms=getattr(ask, "busy_timeout_ms", 0),
            synchronous=int(_one(ask, "synchronous")),
            page_bytes=page_bytes,
            pages=int(_one(ask, "page_count")),
            free_pages=int(_one(ask, "freelist_count")),
            # Negative: in KiB.
            cache_bytes=-cache * 1024 if cache < 0 else cache * page_bytes,
            wal_bytes=log_bytes,
            writer=writer,
        ),
    )


def writer_of(path: str, journal: str) -> int | None:
    """Return the pid of the process that holds the write lock of a file; 0 for none, None if unknown."""
    locked, byte = (f"{path}-shm", _WRITES_LOG) if journal == "wal" else (path, _RESERVED)
    if not sys.platform.startswith("linux"):
        return None
    try:
        inode = os.stat(locked).st_ino
    except OSError:
        return 0 if journal == "wal" else None
    try:
        with open(LOCKS, encoding="ascii", errors="replace") as lines:
            return _writer_in(lines, inode, byte)
    except OSError:
        return None


def _writer_in(lines: Iterable[str], inode: int, byte: int) -> int:
    for line in lines:
        # `1: POSIX  ADVISORY  WRITE 4121 08:01:5505027 120 120`; with `->` for those that wait.
        words = line.split()
        if len(words) != 8 or words[3] != "WRITE" or words[5].rpartition(":")[2] != str(inode):
            continue
        last = sys.maxsize if words[7] == "EOF" else int(words[7])
        if int(words[6]) <= byte <= last:
            return max(0, int(words[4]))
    return 0


def _one(ask: Ask, pragma: str) -> int | str:
    rows = ask(f"PRAGMA {pragma}")
    value: int | str = rows[0][0] if rows else 0
    return value
