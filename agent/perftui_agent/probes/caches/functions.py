"""Polls functions that count for themselves: `functools.lru_cache`, `cachetools.cached(info=True)`.

Reads `cache_info()` once a second on the agent's thread, so a call of the function costs nothing more
than without us. A function whose information can't be read without changing its cache is not polled:
`currsize` of a TTLCache throws entries out, in the middle of whatever the app's threads do to it.
"""

from __future__ import annotations

import gc
import sys
from functools import partial
from types import MethodType
from typing import Any
from weakref import ref

from perftui_agent.probes.caches.cachetools import is_cachetools_cache, whole
from perftui_agent.probes.caches.rows import MAX_CACHES, CacheRow, rows

MAX_FUNCTIONS = 5_000
"""Functions that are polled, `MAX_CACHES` each second in turns: they count for themselves, so what is read
later is read all the same. Beyond them the one that was read longest ago is forgotten."""


MAX_WRAPPERS = 20
"""Partials and wrappers around a function that are looked through."""


class PolledFunction:
    """One function; what it has counted goes to its row as it is read."""

    def __init__(self, function: Any, name: str) -> None:
        self._weak = ref(function, self._ended)
        self._hits = self._misses = 0
        self._size: tuple[int | None, int | None] = (None, None)
        self.row: CacheRow = rows.row(name, _kind(function), self._sizes)
        self.row.sees_evictions = False
        self.row.hold(self)
        self.rebase()

    @property
    def function(self) -> Any:
        """The function, or None when it is gone."""
        return self._weak()

    def rebase(self) -> None:
        """Count from now on."""
        info = self._info()
        if info is not None:
            self._hits, self._misses = info.hits, info.misses

    def poll(self) -> None:
        """Add what it has counted since the last time."""
        info = self._info()
        if info is None:
            return
        hits, misses = info.hits, info.misses
        if hits < self._hits or misses < self._misses:  # cache_clear: it starts anew
            self._hits = self._misses = 0
        self.row.returned += hits - self._hits
        self.row.misses += misses - self._misses
        self._hits, self._misses = hits, misses

    def _info(self) -> Any:
        function = self._weak()
        if function is None or _is_locked(function):
            return None
        info = function.cache_info()
        self._size = whole(info.currsize), whole(info.maxsize)
        return info

    def _sizes(self) -> tuple[int | None, int | None] | None:
        return None if self._weak() is None else self._size

    def _ended(self, _: object) -> None:
        self.row.live -= 1


class PolledFunctions:
    """All that are polled, in turns."""

    def __init__(self) -> None:
        self._polled: dict[int, PolledFunction] = {}
        """By the id of the function, those that have waited longest first."""
        self.waiting = 0
        """How many have not been read the last time: what they have counted is told later."""

    def add(self, function: Any, name: str) -> None:
        """Poll one more function, unless it is polled under this name."""
        known = self._polled.get(id(function))
        if known is not None and known.function is function:
            return
        if len(self._polled) >= MAX_FUNCTIONS:
            self._polled = {key: each for key, each in self._polled.items() if each.function is not None}
            while len(self._polled) >= MAX_FUNCTIONS:
                del self._polled[next(iter(self._polled))]
                rows.forgotten += 1
        self._polled[id(function)] = PolledFunction(function, name)

    def rebase(self) -> None:
        """Count from now on."""
        for polled in list(self._polled.values()):
            try:
                polled.rebase()
            except Exception as error:  # noqa: BLE001 - as below
                rows.guard.fault("probes.caches", error)

    def poll(self) -> None:
        """Read as many as there is time for; one that can't be read keeps no other from it."""
        items = list(self._polled.items())
        self.waiting = max(0, len(items) - MAX_CACHES)
        for key, polled in items[:MAX_CACHES]:
            try:
                polled.poll()
            except Exception as error:  # noqa: BLE001 - `cache_info` is the app's
                rows.guard.fault("probes.caches", error)
            if self._polled.pop(key, None) is not None and polled.function is not None:
                self._polled[key] = polled


functions = PolledFunctions()
"""The polled functions of this process, whether or not an agent runs."""


def counting_function(function: Any) -> Any:
    """Return what counts when `function` is called and lasts as long as it can be: itself, or what it wraps.

    Of a bound method that is the method's function, of a partial and of a wrapper what they call. None if
    nothing of it has a `cache_info()`.
    """
    for _ in range(MAX_WRAPPERS):
        if isinstance(function, MethodType):
            function = function.__func__
        elif isinstance(function, partial):
            function = function.func
        elif _counts(function):
            return _lasting(function)
        else:
            function = getattr(function, "__wrapped__", None)
    return None


def _counts(function: Any) -> bool:
    return (
        callable(function)
        and not isinstance(function, type)
        and callable(getattr(function, "cache_info", None))
    )


def _lasting(function: Any) -> Any:
    """Return a function, or, if an object makes it anew at each access, what it passes calls on to.

    Such a one is gone as soon as nobody holds it: it would be accepted, and never shown. TypeError for one
    that passes on to nothing.
    """
    behind = gc.get_referents(function)
    wrapped = getattr(function, "__wrapped__", None)
    for each in behind if wrapped is not None else ():
        if _counts(each) and getattr(each, "__wrapped__", None) is wrapped:
            return each
    name = getattr(function, "__name__", "")
    if isinstance(name, str) and name and any(_is_made_anew(function, each, name) for each in behind):
        raise TypeError(
            f"watch_cache: {name_of(function)} is made anew at each access, with counts of its own: "
            "keep one, and watch the one that is called"
        )
    return function


def _is_made_anew(function: Any, instance: Any, name: str) -> bool:
    """Tell whether an object makes a function like this one at each access."""
    if not hasattr(type(instance), name):
        return False
    try:
        one, other = getattr(instance, name), getattr(instance, name)
    except Exception:  # noqa: BLE001 - it is the app's
        return False
    return type(one) is type(function) and one is not other


def name_of(function: Any) -> str:
    """Return `module.qualified_name`."""
    name = getattr(function, "__qualname__", type(function).__name__)
    module = getattr(function, "__module__", "")
    return f"{module}.{name}" if module and module != "__main__" else str(name)


def cache_to_watch_instead(function: Any) -> Any:
    """Return the function's cache if reading its size would change it or run code of the app's."""
    cache = getattr(function, "cache", None)
    if not is_cachetools_cache(cache):
        return None
    plain = sys.modules["cachetools"].Cache.currsize
    return None if getattr(type(cache), "currsize", None) is plain else cache


def _kind(function: Any) -> str:
    module = type(function).__module__
    if module == "functools":
        return "functools.lru_cache"
    if hasattr(function, "cache_key") or module.startswith("cachetools"):
        return "cachetools.cached"
    return f"{module.partition('.')[0]}.{type(function).__name__}"


def _is_locked(function: Any) -> bool:
    """Tell whether `cache_info` would have to wait: the agent's thread waits for no lock of the app."""
    lock = getattr(function, "cache_lock", None)
    if lock is None:
        return False
    if not lock.acquire(blocking=False):
        return True
    lock.release()
    return False
