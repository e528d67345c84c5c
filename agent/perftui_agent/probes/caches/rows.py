"""What is known of each watched cache: one row of counters per name.

The app's threads add to a row's plain integers, which under the GIL is one uninterrupted step; the
agent's thread reads them once a second. Caches of one name share a row, so a cache made per request
costs a worker one row and not one each. A row lives as long as a cache of its name.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeAlias

from perftui_agent.guard import Guard

MAX_CACHES = 200
"""Rows that are told apart, and functions that are polled; further ones share `(other)`."""

MAX_SIZED = 200
"""Caches of one name whose sizes are summed: each costs the agent's thread a look every second."""

MAX_NAME = 100

OTHER_CACHES = "(other)"

Gauge: TypeAlias = Callable[[], tuple[int | None, int | None] | None]
"""Reads a cache's size and maxsize; None once the cache is gone."""


class CacheRow:
    """The counters of the caches of one name; they only ever grow."""

    __slots__ = (
        "evictions",
        "expirations",
        "filled",
        "gauges",
        "kind",
        "live",
        "misses",
        "name",
        "returned",
        "sees_evictions",
        "stampedes",
        "unsized",
    )

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.live = 0
        """Caches of this name that are alive."""
        self.returned = 0
        """Lookups that gave a value."""
        self.filled = 0
        """Those of them that a `__missing__` made: misses, although a value came back."""
        self.misses = 0
        self.evictions = 0
        self.sees_evictions = True
        self.expirations = 0
        self.stampedes = 0
        self.gauges: list[Gauge] = []
        self.unsized = False
        """Whether there have been more caches than are summed: the sum is then not known."""

    @property
    def hits(self) -> int:
        """Lookups that found what was stored."""
        return self.returned - self.filled

    def add(self, gauge: Gauge) -> None:
        """Take in one more cache of this name."""
        self.live += 1
        if len(self.gauges) < MAX_SIZED:
            self.gauges.append(gauge)
        else:
            self.unsized = True

    def sizes(self) -> tuple[int | None, int | None]:
        """Return size and maxsize, summed over the live caches; None for what one of them hasn't."""
        readings = [(gauge, gauge()) for gauge in list(self.gauges)]
        for gauge, reading in readings:
            if reading is None:
                self.gauges.remove(gauge)
        live = [reading for _, reading in readings if reading is not None]
        if self.unsized or not live:
            return None, None
        return _sum([size for size, _ in live]), _sum([maxsize for _, maxsize in live])


class CacheRows:
    """The rows of this process, by name."""

    def __init__(self) -> None:
        self.guard = Guard()
        """Of the agent that reads the rows, as soon as there is one."""
        self._rows: dict[str, CacheRow] = {}
        self._other: CacheRow | None = None
        self._renew_lock()
        os.register_at_fork(after_in_child=self._renew_lock)

    def row(self, name: str, kind: str, gauge: Gauge) -> CacheRow:
        """Return the row of this name with one more cache in it."""
        name = clean_name(name)
        with self._lock:
            row = self._rows.get(name)
            if row is None and len(self._rows) >= MAX_CACHES:
                self._sweep()
            if row is None and len(self._rows) < MAX_CACHES:
                row = self._rows[name] = CacheRow(name, kind)
            if row is None:
                row = self._other = self._other or CacheRow(OTHER_CACHES, kind)
            if not row.live:
                row.kind = kind
            row.add(gauge)
            return row

    def all(self) -> list[CacheRow]:
        """Return every row there is."""
        with self._lock:
            return [*self._rows.values(), *([self._other] if self._other else [])]

    def drop(self, row: CacheRow) -> None:
        """Forget a row, unless a cache has come into it again."""
        with self._lock:
            if not row.live and self._rows.get(row.name) is row:
                del self._rows[row.name]

    @property
    def folded_away(self) -> int:
        """Caches alive that share `(other)`."""
        return self._other.live if self._other else 0

    def _sweep(self) -> None:
        for row in list(self._rows.values()):
            if not row.live:
                del self._rows[row.name]

    def _renew_lock(self) -> None:
        # Re-entrant: a collection in the midst of it may run a finalizer of the app that watches a
        # cache. New in a forked child, where the thread that held it isn't.
        self._lock = threading.RLock()


rows = CacheRows()
"""The caches of this process, whoever made them and whether or not an agent runs."""


def clean_name(name: str) -> str:
    """Return a name that fits into a row of a table."""
    printable = "".join(character for character in str(name) if character.isprintable())
    return printable[:MAX_NAME] or "(unnamed)"


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
