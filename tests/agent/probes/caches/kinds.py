"""One cache of each cachetools kind, with a clock and a dice of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import cachetools

Make: TypeAlias = Callable[["Clock"], "cachetools.Cache[Any, Any]"]
"""Makes an empty cache of 4 entries that live for 10 s."""

SIZE = 4
LIFE_S = 10.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def first(keys: Sequence[Any]) -> Any:
    """Choose what a dice would: the first."""
    return keys[0]


def _ttu(_: Any, value: Any, now: float) -> float:
    """Values below 0 have expired before they are stored."""
    return now + (LIFE_S if value >= 0 else -1.0)


KINDS: dict[str, Make] = {
    "Cache": lambda clock: cachetools.Cache(SIZE),
    "FIFOCache": lambda clock: cachetools.FIFOCache(SIZE),
    "LFUCache": lambda clock: cachetools.LFUCache(SIZE),
    "LRUCache": lambda clock: cachetools.LRUCache(SIZE),
    "RRCache": lambda clock: cachetools.RRCache(SIZE, choice=first),
    "TTLCache": lambda clock: cachetools.TTLCache(SIZE, LIFE_S, timer=clock),
    "TLRUCache": lambda clock: cachetools.TLRUCache(SIZE, _ttu, timer=clock),
    "sized LRUCache": lambda clock: cachetools.LRUCache(SIZE, getsizeof=abs),
    "sized TTLCache": lambda clock: cachetools.TTLCache(SIZE, LIFE_S, timer=clock, getsizeof=abs),
}
