"""What is known of each watched cache: one row of counters per name.

The app's threads add to a row's plain integers, which under the GIL is one uninterrupted step; the
agent's thread reads them once a second. Caches of one name share a row, so a cache made per request
costs a worker one row and not one each. A row lives as long as a cache of its name.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias
from weakref import ref

from perftui_agent.guard import Guard

MAX_CACHES = 200
"""Rows in a frame, those that are used most, and functions that are read for one."""

MAX_ROWS = 2_000
"""Names that have a row of their own: a new one takes the place of one that nobody uses, if need be."""

LOOKED_AT = 20
"""Rows that are looked at for one that nobody uses."""

MAX_SIZED = 200
"""Caches of one name whose sizes are summed: each costs the agent's thread a look every second."""

MAX_NAME = 100

OTHER_CACHES = "(other)"

Gauge: TypeAlias = Callable[[], tuple[int | None, int | None] | None]
"""Reads a cache's size and maxsize; None once the cache is gone."""


class Totals(NamedTuple):
    """What a row had counted at a moment."""

    hits: int
    misses: int
    evictions: int
    expirations: int
    stampedes: int


NOTHING_COUNTED = Totals(0, 0, 0, 0, 0)


class Holder(Protocol):
    """What counts a cache's lookups, or polls a function's, in a row."""

    row: CacheRow


class CacheRow:
    """The counters of the caches of one name; they only ever grow."""

    __slots__ = (
        "cost",
        "evictions",
        "expirations",
        "filled",
        "gauges",
        "holders",
        "kind",
        "live",
        "misses",
        "name",
        "returned",
        "sees_evictions",
        "stampedes",
        "told",
        "unsized",
    )

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.cost = 0.0
        """How much it has been used lately."""
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
        self.told = NOTHING_COUNTED
        """What it had counted when that was last told of."""
        self.holders: list[ref[Holder]] = []
        """What counts for the caches of this name, as long as there are not too many."""
        self.gauges: list[Gauge] = []
        self.unsized = False
        """Whether there have been more caches than are summed: the sum is then not known."""

    @property
    def hits(self) -> int:
        """Lookups that found what was stored."""
        return self.returned - self.filled

    def totals(self) -> Totals:
        """Return what it has counted so far."""
        return Totals(self.hits, self.misses, self.evictions, self.expirations, self.stampedes)

    def untold(self) -> tuple[Totals, Totals]:
        """Return what it has counted so far, and how much of that has not been told of."""
        # A lookup that a `__missing__` answers is a hit for a moment, and none when it has ended.
        totals = Totals(*map(max, self.told, self.totals()))
        return totals, Totals(*map(int.__sub__, totals, self.told))

    def can_retire(self) -> bool:
        """Tell whether nobody has used it since it was last told of, and all who may can be moved."""
        return not any(self.untold()[1]) and self.live == sum(weak() is not None for weak in self.holders)

    def retire_into(self, other: CacheRow) -> None:
        """Have everything that is counted here, and has not been told of, counted by another row."""
        for holder in [held for weak in self.holders if (held := weak()) is not None]:
            holder.row = other
            other.live += 1
            self.live -= 1
        _, share = self.untold()
        other.returned += share.hits
        other.misses += share.misses
        other.evictions += share.evictions
        other.expirations += share.expirations
        other.stampedes += share.stampedes

    def hold(self, holder: Holder) -> None:
        """Remember who counts here."""
        if len(self.holders) >= MAX_SIZED:
            self.holders = [weak for weak in self.holders if weak() is not None]
        if len(self.holders) < MAX_SIZED:
            self.holders.append(ref(holder))

    def add(self, gauge: Gauge) -> None:
        """Take in one more cache of this name."""
        self.live += 1
        if not self.unsized and len(self.gauges) < MAX_SIZED:
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
        self.forgotten = 0
        """Names that have lost their row, or got none."""
        self._rows: dict[str, CacheRow] = {}
        self._other: CacheRow | None = None
        self._renew_lock()
        os.register_at_fork(after_in_child=self._renew_lock)

    def row(self, name: str, kind: str, gauge: Gauge) -> CacheRow:
        """Return the row of this name with one more cache in it."""
        name = clean_name(name)
        with self._lock:
            row = self._rows.get(name)
            if row is None and (len(self._rows) < MAX_ROWS or self._retire_one()):
                row = self._rows[name] = CacheRow(name, kind)
            if row is None:
                self.forgotten += 1
                row = self._other_row(kind)
            elif not row.live:
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

    def _retire_one(self) -> bool:
        """Make room for a name, at the cost of one that nobody uses; False if there is none nearby."""
        for _ in range(LOOKED_AT):
            row = self._rows.pop(next(iter(self._rows)))
            if row.live and not row.can_retire():
                self._rows[row.name] = row  # the next ones come first
                continue
            self.forgotten += 1
            row.retire_into(self._other_row(row.kind))
            return True
        return False

    def _other_row(self, kind: str) -> CacheRow:
        if self._other is None:
            self._other = CacheRow(OTHER_CACHES, kind)
            self._other.unsized = True
        return self._other

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
