"""What counts as a lookup of a cache: exactly one for each, however the code spells it.

- `[]`, `get`, `pop` and `setdefault` are lookups, and so is `in`.
- After an `in`, the next `[]`, `get`, `pop` or `setdefault` of that key by the same request (outside
  of one: the same thread) is the same lookup, whatever was stored in between.
- A `setdefault` after a miss stores what was missed: `cachetools.cached` with a lock does that.
- What a cache looks up in itself, while it stores, evicts or is listed, is no lookup.

A miss is a stampede when another request, still in flight, missed that key and nobody has stored it
since. Keys are remembered by their hashes alone, and at most `MAX_MARKS` of each sort.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any, TypeAlias

from perftui_agent.probes.cache_rows import CacheRow
from perftui_agent.records import RequestRecord, current_request

MAX_MARKS = 512
"""Lookups under way that a cache remembers; past it they are forgotten, and those few may count twice.

All at once: the oldest alone would cost each lookup a search of up to 2 µs through emptied places."""

ATTRIBUTE = "_perftui_watch"
"""Where a watched cache keeps its watch."""

MAX_OPEN = 128
"""Keys at a time that are watched for stampedes; of each a request's record is held."""

Mark: TypeAlias = tuple[int, int]
"""The hash of a key, and who looked it up: when the request started, to the nanosecond; outside of any
the thread. Not the request itself, which a mark that nobody takes would keep alive."""


class Watch:
    """One cache under observation; lives in the cache and ends with it."""

    __slots__ = ("asked", "inside", "missed", "open", "row")

    def __init__(self, row: CacheRow) -> None:
        self.row = row
        self.asked: dict[Mark, bool] = {}
        """Lookups that an `in` has counted."""
        self.missed: dict[Mark, bool] = {}
        """Misses that have not been stored yet."""
        self.open: dict[int, RequestRecord] = {}
        """By the hash of a key, the request that missed it first and is at work on it."""
        self.inside = 0
        """The thread in which the cache is storing or evicting; 0 when none is."""

    def __del__(self) -> None:
        self.row.live -= 1

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy of the cache is no watched cache, even if its own pickling takes everything along.
        return type(None), ()

    def is_counted(self, key: object) -> bool:
        """Tell whether an `in` has counted this lookup, or the cache itself is looking."""
        if self.inside and self.inside == get_ident():
            return True
        return self.asked.pop(_mark(key), False)

    def hit(self, key: object) -> None:
        """Count a lookup that found something."""
        if not ((self.asked or self.inside) and self.is_counted(key)):
            self.row.returned += 1

    def miss(self, key: object) -> None:
        """Count a lookup that found nothing."""
        if not ((self.asked or self.inside) and self.is_counted(key)):
            request = current_request.get()
            self.missed_by((hash(key), get_ident() if request is None else request.started_ns), request)

    def missed_by(self, mark: Mark, request: RequestRecord | None) -> None:
        """Count a miss, and a stampede if another request is at work on the key."""
        self.row.misses += 1
        missed = self.missed
        missed[mark] = True
        if len(missed) > MAX_MARKS:
            missed.clear()
        if request is None:
            return
        first = self.open.get(mark[0])
        if first is None or first.ended_ns:
            self.open[mark[0]] = request
            if len(self.open) > MAX_OPEN:
                self._forget_ended()
        elif first is not request:
            self.row.stampedes += 1

    def settles(self, key: object) -> bool:
        """Tell whether a `setdefault` is the end of a lookup that has been counted."""
        if not (self.missed or self.asked or self.inside):
            return False
        missed = self.missed.pop(_mark(key), False)
        return self.is_counted(key) or missed

    def stored(self, key: object) -> None:
        """Note that a key which may have been missed is there now."""
        hashed = hash(key)
        if self.open:
            self.open.pop(hashed, None)
        request = current_request.get()
        self.missed.pop((hashed, get_ident() if request is None else request.started_ns), None)

    def begin_making(self, key: object) -> Mark:
        """Note that a `__missing__` of the app is at work: looking the key up is part of that."""
        mark = _mark(key)
        self.asked[mark] = True
        return mark

    def made(self, mark: Mark) -> None:
        """Note that it has made a value: what `[]` is about to return is no hit."""
        self.asked.pop(mark, None)
        if self.inside != get_ident():
            self.row.filled += 1

    def _forget_ended(self) -> None:
        for key, request in list(self.open.items()):
            if request.ended_ns:
                self.open.pop(key, None)
        if len(self.open) > MAX_OPEN:
            self.open.clear()


def _mark(key: object) -> Mark:
    request = current_request.get()
    return hash(key), get_ident() if request is None else request.started_ns
