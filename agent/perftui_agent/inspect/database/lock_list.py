"""Who waits for a lock in a database, written by the worker whose turn it is and read by its siblings.

When a lock holds up sixteen workers, each wants to know for how long its statements wait, and the server is
to get one connection more and not sixteen. So one of them looks, and as long as it has the file's lock the
others read what it wrote: the moment and the sessions, by the clock that all processes of a host share.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from perftui_agent.inspect.database.postgres_locks import Waiting

SUFFIX = ".locks"

MOST_BYTES = 65_536
MOST_WAITING = 500


class LockList(msgspec.Struct, frozen=True, gc=False):
    """Which sessions wait at one moment."""

    at_ns: int
    """On `steady_ns`."""
    waiting: tuple[Waiting, ...] = ()


class LockLists:
    """The list of each database that statements of ours are stuck in. Belongs to the agent's loop."""

    def __init__(self, directory: Callable[[], Path], service: str) -> None:
        self._directory = directory
        self._service = service
        self._mine: dict[str, int] = {}
        """Descriptors of the files whose lock is ours."""
        self._decoder = msgspec.msgpack.Decoder(LockList)

    def take(self, database: str) -> bool:
        """Become the one who looks; False if a sibling is. Where no file can be had everybody looks."""
        if database in self._mine:
            return True
        try:
            descriptor = os.open(
                self._path(database), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            return not isinstance(error, BlockingIOError)
        self._mine[database] = descriptor
        return True

    def leave(self, database: str) -> None:
        """Have somebody else look from now on."""
        descriptor = self._mine.pop(database, None)
        if descriptor is not None:
            os.close(descriptor)

    def leave_all(self) -> None:
        """Hold nothing any more."""
        for database in list(self._mine):
            self.leave(database)

    def write(self, database: str, told: LockList) -> None:
        """Tell the siblings; nothing where the file isn't ours, or is gone."""
        descriptor = self._mine.get(database)
        if descriptor is None:
            return
        text = msgspec.msgpack.encode(LockList(told.at_ns, told.waiting[:MOST_WAITING]))
        try:
            os.pwrite(descriptor, len(text).to_bytes(4, "big") + text, 0)
        except OSError:  # a full disk: then they know nothing
            return

    def read(self, database: str) -> LockList | None:
        """Return what a sibling has written; None for nothing that can be read."""
        try:
            descriptor = os.open(self._path(database), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            text = os.read(descriptor, MOST_BYTES)
            return self._decoder.decode(text[4 : 4 + int.from_bytes(text[:4], "big")])
        except (OSError, msgspec.DecodeError):
            return None
        finally:
            os.close(descriptor)

    def _path(self, database: str) -> Path:
        about = f"{self._service}\0{database}".encode(errors="replace")
        return self._directory() / f"{hashlib.blake2b(about, digest_size=8).hexdigest()}{SUFFIX}"
