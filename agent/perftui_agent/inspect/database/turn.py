"""Whose turn it is to look at a database, among the workers of a service: one look serves them all.

When a lock holds up sixteen workers, each has a reason to look, and the server is to get one connection more
and not sixteen. So who looks writes the moment into a file beside the registrations, and the others read it.
Where that can't be done everybody looks for himself: at his own low rate.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from perftui_agent.wire.clock import steady_ns

SUFFIX = ".look"


class Turns:
    """Takes turns with the siblings, for each database."""

    def __init__(
        self, directory: Callable[[], Path], service: str, now_ns: Callable[[], int] = steady_ns
    ) -> None:
        self._directory = directory
        self._service = service
        self._now_ns = now_ns

    def take(self, database: str, every_s: float) -> bool:
        """Take the turn; False if anybody has had it less than `every_s` ago."""
        try:
            descriptor = os.open(
                self._path(database), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            now = self._now_ns()
            with contextlib.suppress(ValueError):
                # A moment in the future is one from before the machine was started again.
                if 0 <= now - int(os.pread(descriptor, 30, 0) or b"-1") < every_s * 1e9:
                    return False
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(now).encode(), 0)
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            os.close(descriptor)

    def _path(self, database: str) -> Path:
        about = f"{self._service}\0{database}".encode(errors="replace")
        return self._directory() / f"{hashlib.blake2b(about, digest_size=8).hexdigest()}{SUFFIX}"
