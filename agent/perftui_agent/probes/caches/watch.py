"""What counts as a lookup of a cache: exactly one for each, however the code spells it.

- `[]`, `get`, `pop` and `setdefault` are lookups, and so is `in`.
- After an `in`, the next `[]`, `get`, `pop` or `setdefault` of that key by the same request (outside
  of one: the same thread) is the same lookup, whatever was stored in between.
- A `setdefault` after a miss stores what was missed: `cachetools.cached` with a lock does that.
- What a cache looks up in itself, while it stores, evicts or is listed, is no lookup.

A miss is a stampede when another request, still in flight, had missed that key and nobody had stored it
since, and who came later has stored it as well: who waits for the first one, behind a lock, does no work
twice. So it is counted when the later one stores. Keys are remembered by their hashes alone, and at most
`MAX_MARKS` of each sort.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any, TypeAlias

import msgspec

from perftui_agent.probes.caches.rows import CacheRow, rows
from perftui_agent.records import RequestRecord
from perftui_agent.whose import request_now

MAX_MARKS = 256
"""Lookups under way that a cache remembers; past it they are forgotten, and those few may count twice.

All at once: the oldest alone would cost each lookup a search of up to 2 µs through emptied places."""

ATTRIBUTE = "_perftui_watch"
"""Where a watched cache keeps its watch."""

Mark: TypeAlias = tuple[int, int]
"""The hash of a key, and who looked it up: when the request started, to the nanosecond; outside of any
the thread. Not the request itself, which a mark that nobody takes would keep alive."""


class Work(msgspec.Struct, eq=False, gc=False):
    """What goes on about a key that was missed. A struct is made in a third of an object's time."""

    first: RequestRecord | None
    """The request that missed it first, until somebody has stored it."""
    missed_by: tuple[int, ...]
    """Who has not stored it yet, …"""
    beside: tuple[int, ...] = ()
    """… and those of them who missed it while another request was at work on it."""


class Watch:
    """One cache under observation; lives in the cache and ends with it."""

    __slots__ = ("__weakref__", "asked", "inside", "looking", "row", "work")

    def __init__(self, row: CacheRow) -> None:
        self.row = row
        row.hold(self)
        self.asked: dict[Mark, bool] = {}
        """Lookups that an `in` has counted."""
        self.work: dict[int, Work] = {}
        """By the hashes of keys that were missed."""
        self.inside = 0
        """The thread in which the cache is storing or evicting; 0 when none is."""
        self.looking = 0
        """The thread in which a `[]` is at work that may use `in`; 0 when none is."""

    def __del__(self) -> None:
        self.row.live -= 1

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy of the cache is no watched cache, even if its own pickling takes everything along.
        return type(None), ()

    def is_counted(self, key: object) -> bool:
        """Tell whether an `in` has counted this lookup, or the cache itself is looking."""
        if self.inside and self.inside == get_ident():
            return True
        try:
            request = request_now()
            return self.asked.pop((hash(key), get_ident() if request is None else request.started_ns), False)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a lookup
            rows.guard.fault("probes.caches", error)
            return False

    def hit(self, key: object) -> None:
        """Count a lookup that found something."""
        if not ((self.asked or self.inside) and self.is_counted(key)):
            self.row.returned += 1

    def miss(self, key: object) -> None:
        """Count a lookup that found nothing."""
        if not ((self.asked or self.inside) and self.is_counted(key)):
            request = request_now()
            self.missed(hash(key), get_ident() if request is None else request.started_ns, request)

    def missed(self, key: int, who: int, request: RequestRecord | None) -> None:
        """Count a miss, and note whether another request is at work on the key."""
        self.row.misses += 1
        try:
            self._miss_of(key, who, request)
        except Exception as error:  # noqa: BLE001 - as above
            rows.guard.fault("probes.caches", error)

    def _miss_of(self, key: int, who: int, request: RequestRecord | None) -> None:
        work = self.work.get(key)
        if work is None:
            self.work[key] = Work(request, (who,))
            if len(self.work) > MAX_MARKS:
                self._forget()
            return
        if who not in work.missed_by:
            work.missed_by += (who,)
        if request is not None:
            first = work.first
            if first is None or first.ended_ns:
                work.first = request
            elif first is not request and who not in work.beside:
                work.beside += (who,)

    def stored(self, key: object) -> None:
        """Note that a key which may have been missed is there now."""
        self._done(key)

    def settles(self, key: object) -> bool:
        """Tell whether a `setdefault` is the end of a lookup that has been counted."""
        missed = bool(self.work) and self._done(key)
        return bool((self.asked or self.inside) and self.is_counted(key)) or missed

    def begin_making(self, key: object) -> Mark:
        """Note that a `__missing__` of the app is at work: looking the key up is part of that."""
        request = request_now()
        mark = hash(key), get_ident() if request is None else request.started_ns
        self.asked[mark] = True
        return mark

    def made(self, mark: Mark) -> None:
        """Note that it has made a value: what `[]` is about to return is no hit."""
        self.asked.pop(mark, None)
        if self.inside != get_ident():
            self.row.filled += 1

    def _done(self, key: object) -> bool:
        """Note that the work on a key is done here; tell whether it had been missed here."""
        try:
            return self._end_work(hash(key))
        except Exception as error:  # noqa: BLE001 - as above
            rows.guard.fault("probes.caches", error)
            return False

    def _end_work(self, key: int) -> bool:
        work = self.work.get(key)
        if work is None:
            return False
        work.first = None
        request = request_now()
        who = get_ident() if request is None else request.started_ns
        missed = who in work.missed_by
        if missed:
            work.missed_by = tuple(other for other in work.missed_by if other != who)
            if who in work.beside:
                work.beside = tuple(other for other in work.beside if other != who)
                self.row.stampedes += 1
        if not work.missed_by:
            self.work.pop(key, None)
        return missed

    def _forget(self) -> None:
        """Forget the keys that nobody in flight is at work on, or all if that is not enough."""
        for key, work in list(self.work.items()):
            if work.first is None or work.first.ended_ns:
                self.work.pop(key, None)
        if len(self.work) > MAX_MARKS // 2:
            self.work.clear()
