"""The workers that this one may look at, in the order in which it watches them.

Read from the registrations whenever the runtime directory has changed, which costs nothing in between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from perftui_agent.inspect.targets import allowed_targets
from perftui_agent.siblings.ring import watched_by
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.lives import file_stem, place_of, running_start_ticks
from perftui_agent.wire.registration import Registration

TICK_NS = 100_000_000

PULSE_SUFFIX = ".pulse"


class Neighbour(NamedTuple):
    """A sibling, and where it notes its signs of life."""

    registration: Registration
    directory: Path
    stem: str

    @property
    def worker(self) -> WorkerIdentity:
        """Who it is."""
        return self.registration.worker

    @property
    def pulse(self) -> Path:
        """Its sign of life."""
        return self.directory / f"{self.stem}{PULSE_SUFFIX}"

    def is_alive(self) -> bool:
        """Tell whether its process still runs."""
        return running_start_ticks(self.worker.pid) == self.worker.start_ticks


class Neighbours:
    """Those of one worker."""

    def __init__(
        self,
        own: WorkerIdentity,
        directory: Callable[[], Path],
        registrations: Callable[[], Iterable[Registration]],
    ) -> None:
        self._own = own
        self._directory = directory
        self._registrations = registrations
        self._changed: tuple[Path, int] | None = None
        self.ring: list[Neighbour] = []
        """The next first."""

    def look(self) -> None:
        """See who is there now, nobody while the directory is gone; OSError where it can't be read."""
        directory = self._directory()
        try:
            changed = directory, os.stat(directory).st_mtime_ns
        except FileNotFoundError:  # removed underneath us: it is made again within seconds
            self.ring, self._changed = [], None
            return
        if changed != self._changed:
            self.ring = self._read(directory)
            # What comes within the same tick of the file system's clock would go unnoticed.
            self._changed = changed if time.time_ns() - changed[1] > TICK_NS else None

    def _read(self, directory: Path) -> list[Neighbour]:
        known = list(self._registrations())
        own = next((one for one in known if one.worker.id == self._own.id), None)
        if own is None or not self._own.start_ticks:
            return []
        known = [one for one in known if place_of(one.worker) == place_of(self._own)]
        # Also of one that is just being ended something may be told: who it is, is what counts.
        allowed = allowed_targets(own, known, ticks_of=_as_registered(known))
        others = [
            (
                (one.worker.pid, one.worker.start_ticks),
                Neighbour(one, directory, file_stem(one.worker)),
            )
            for one in known
            if one.worker.pid in allowed and one.worker.start_ticks
        ]
        return watched_by((self._own.pid, self._own.start_ticks), others)


def _as_registered(known: Iterable[Registration]) -> Callable[[int], int | None]:
    started = {one.worker.pid: one.worker.start_ticks for one in known}
    return started.get
