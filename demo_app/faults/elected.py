"""One worker of several: who gets the lock first, until it lets go or ends."""

from __future__ import annotations

import contextlib
import fcntl
import os

from demo_app.faults.switches import switches_file
from demo_app.files import data_dir


class Election:
    """Whether this worker is the one that a fault has befallen."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._descriptor: int | None = None

    @property
    def won(self) -> bool:
        """Whether it is."""
        return self._descriptor is not None

    def stand(self) -> bool:
        """Try to be the one; say whether it is."""
        if self._descriptor is None:
            beside = switches_file() or data_dir() / "faults"
            descriptor = os.open(beside.with_suffix(f".{self._kind}"), os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                self._descriptor = descriptor
        return self.won

    def withdraw(self) -> None:
        """Let another one be it."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
