"""The subclass that a watched cachetools cache becomes: looks and works like the original, and counts.

All work is still done by the methods of the original class. `get`, `pop` and `setdefault` are spelled
out, which saves their two calls back into the subclass, unless the app's class has its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from opcode import opmap
from threading import get_ident
from typing import Any, TypeAlias

from perftui_agent.probes.caches.rows import CacheRow
from perftui_agent.probes.caches.watch import ATTRIBUTE, MAX_MARKS, Watch
from perftui_agent.whose import request_now

Methods: TypeAlias = dict[str, Any]
"""What a generated class defines, by name."""

set_class = object.__dict__["__class__"].__set__
"""`set_class(cache, cls)`: past any `__setattr__` or `__class__` of the class itself."""

_nobody = Watch(CacheRow("", ""))
"""The watch of instances that a cache's own code makes of its class: nobody reads it."""


def make_class(original: Any) -> type:
    """Return a subclass that looks and works like `original` and counts."""
    methods: Methods = {
        "__slots__": (),
        "__doc__": original.__doc__,
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        ATTRIBUTE: _nobody,
        **_identity(original),
        **_lookups(original),
        **_shortcuts(original),
        **_changes(original),
        **_listings(original),
    }
    if not any("__init_subclass__" in vars(base) for base in original.__mro__[:-1]):
        return type(original)(original.__name__, (original,), methods)  # type: ignore[no-any-return]
    # A hook for the subclasses of the app's own class must not hear of ours.
    base = next(base for base in original.__mro__ if base.__module__ == "cachetools")
    made: type = type(original)(original.__name__, (base,), methods)
    made.__bases__ = (original,)
    return made


def _silent_getitem(original: Any) -> Any:
    """Return the original's `[]`, whose own use of `in` is no lookup: up to version 7 most of them ask."""
    getitem = original.__getitem__
    if not any(_asks(vars(base).get("__getitem__")) for base in original.__mro__):
        return getitem

    def look_silently(self: Any, key: Any) -> Any:
        watch = self._perftui_watch
        watch.looking = me = get_ident()
        try:
            return getitem(self, key)
        finally:
            if watch.looking == me:
                watch.looking = 0

    return look_silently


def _asks(getitem: Any) -> bool:
    """Tell whether a `__getitem__` may ask by `in`; of those that are not cachetools' own nobody knows."""
    module = getattr(getitem, "__module__", None)
    if getitem is None or module in {"collections.abc", "typing"}:
        return False
    return module != "cachetools" or opmap["CONTAINS_OP"] in getitem.__code__.co_code[::2]


def _lookups(original: Any) -> Methods:
    """Return `[]`, `in` and what happens on a miss."""
    getitem = _silent_getitem(original)
    contains = original.__contains__
    missing = original.__missing__

    def look_up(self: Any, key: Any) -> Any:
        value = getitem(self, key)
        watch = self._perftui_watch
        if not ((watch.asked or watch.inside) and watch.is_counted(key)):
            watch.row.returned += 1
        return value

    def ask(self: Any, key: Any) -> Any:
        found = contains(self, key)
        watch = self._perftui_watch
        if (watch.inside or watch.looking) and get_ident() in (watch.inside, watch.looking):
            return found
        request = request_now()
        hashed = hash(key)
        who = get_ident() if request is None else request.started_ns
        if found:
            watch.row.returned += 1
        else:
            watch.missed(hashed, who, request)
        asked = watch.asked
        asked[hashed, who] = True
        if len(asked) > MAX_MARKS:
            asked.clear()
        return found

    def miss(self: Any, key: Any) -> Any:
        self._perftui_watch.miss(key)
        raise KeyError(key)

    def make(self: Any, key: Any) -> Any:
        watch = self._perftui_watch
        watch.miss(key)
        # It may store the value and look it up again: that is still the same lookup.
        mark = watch.begin_making(key)
        looking, watch.looking = watch.looking, 0
        try:
            value = missing(self, key)
        except BaseException:
            watch.asked.pop(mark, None)
            raise
        finally:
            watch.looking = looking
        watch.made(mark)
        return value

    plain = missing is sys.modules["cachetools"].Cache.__missing__
    return {
        "__getitem__": look_up,
        "__contains__": ask,
        "__missing__": miss if plain else make,
    }


def _shortcuts(original: Any) -> Methods:
    """Return `get`, `pop` and `setdefault`, as far as `original` has those of cachetools."""
    cache = sys.modules["cachetools"].Cache
    timed = _timed_base(original)
    found: Methods = {}
    for name, method in _spelled_out(original).items():
        if getattr(original, name) is getattr(cache, name):
            found[name] = method
        elif timed is not None and getattr(original, name) is getattr(timed, name):
            found[name] = _at_one_time(method, timed.timer.fget)
    return found


def _spelled_out(original: Any) -> Methods:
    """Return the three as `Cache` has them, with the calls to `[]` and `in` made directly."""
    getitem = _silent_getitem(original)
    contains = original.__contains__
    no_default = object()

    def get(self: Any, key: Any, default: Any = None) -> Any:
        watch = self._perftui_watch
        if contains(self, key):
            value = getitem(self, key)
            if not ((watch.asked or watch.inside) and watch.is_counted(key)):
                watch.row.returned += 1
            return value
        watch.miss(key)
        return default

    def pop(self: Any, key: Any, default: Any = no_default) -> Any:
        watch = self._perftui_watch
        if contains(self, key):
            value = getitem(self, key)
            watch.hit(key)
            del self[key]
            return value
        watch.miss(key)
        if default is no_default:
            raise KeyError(key)
        return default

    def setdefault(self: Any, key: Any, default: Any = None) -> Any:
        watch = self._perftui_watch
        settled = watch.settles(key)
        if contains(self, key):
            value = getitem(self, key)
            if not settled:
                watch.row.returned += 1
            return value
        if not settled:
            watch.row.misses += 1
        self[key] = default
        return default

    return {"get": get, "pop": pop, "setdefault": setdefault}


def _timed_base(original: Any) -> Any:
    for base in original.__mro__:
        if base.__name__ == "_TimedCache" and base.__module__ == "cachetools":
            return base
    return None


def _at_one_time(method: Callable[..., Any], timer_of: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return `method` with the cache's clock stopped, as caches with a clock have it."""

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        with timer_of(self):
            return method(self, *args, **kwargs)

    return timed


def _changes(original: Any) -> Methods:
    """Return what stores, evicts and expires."""
    setitem = original.__setitem__
    popitem = original.popitem
    expire = getattr(original, "expire", None)
    length = sys.modules["cachetools"].Cache.__len__

    def store(self: Any, key: Any, value: Any) -> None:
        watch = self._perftui_watch
        me = get_ident()
        if watch.inside == me:
            setitem(self, key, value)
            return
        watch.inside = me
        try:
            setitem(self, key, value)
        finally:
            watch.inside = 0
        if watch.work:
            watch.stored(key)

    def pop_one(self: Any) -> Any:
        watch = self._perftui_watch
        me = get_ident()
        if watch.inside == me:
            item = popitem(self)
            watch.row.evictions += 1
            return item
        watch.inside = me
        try:
            return popitem(self)
        finally:
            watch.inside = 0

    def throw_out(self: Any, time: Any = None) -> Any:
        before = length(self)
        expired = expire(self, time)  # type: ignore[misc] # it is defined then
        gone = before - length(self)
        if gone > 0:
            self._perftui_watch.row.expirations += gone
        return expired

    changes: Methods = {"__setitem__": store, "popitem": pop_one}
    if _timed_base(original) is not None:
        changes["expire"] = throw_out
    return changes


def _listings(original: Any) -> Methods:
    """Return `items` and `values`, which look every key up, as does `==`: nobody asked for them."""
    getitem = _silent_getitem(original)

    class UncountedItems(ItemsView[Any, Any]):
        __slots__ = ()

        def __iter__(self) -> Iterator[tuple[Any, Any]]:
            mapping: Any = self._mapping  # type: ignore[attr-defined] # typeshed hides it
            for key in mapping:
                yield key, getitem(mapping, key)

    class UncountedValues(ValuesView[Any]):
        __slots__ = ()

        def __iter__(self) -> Iterator[Any]:
            mapping: Any = self._mapping  # type: ignore[attr-defined] # typeshed hides it
            for key in mapping:
                yield getitem(mapping, key)

    UncountedItems.__name__, UncountedValues.__name__ = "ItemsView", "ValuesView"
    listings: Methods = {}
    if original.items is Mapping.items:
        listings["items"] = lambda cache: UncountedItems(cache)  # noqa: PLW0108 - a class would not be bound
    if original.values is Mapping.values:
        listings["values"] = lambda cache: UncountedValues(cache)  # noqa: PLW0108 - as above
    return listings


def _identity(original: Any) -> Methods:
    """Return what makes copies and pickles of a watched cache be plain caches of the original class."""

    def get_class(_: Any) -> type:
        return original  # type: ignore[no-any-return]

    def reduce_to_original(self: Any, protocol: Any) -> Any:
        reduced = original.__reduce_ex__(self, protocol)
        if not isinstance(reduced, tuple):
            return reduced
        made_by, arguments, *rest = reduced
        arguments = tuple(original if argument is type(self) else argument for argument in arguments)
        if rest and isinstance(rest[0], dict):
            rest[0] = {key: value for key, value in rest[0].items() if key != ATTRIBUTE}
        return original if made_by is type(self) else made_by, arguments, *rest

    def copy_as_original(self: Any) -> Any:
        twin = original.__copy__(self)
        if twin is not self and type(twin) is type(self):
            vars(twin).pop(ATTRIBUTE, None)
            set_class(twin, original)
        return twin

    identity: Methods = {"__class__": property(get_class, set_class), "__reduce_ex__": reduce_to_original}
    if hasattr(original, "__copy__"):
        identity["__copy__"] = copy_as_original
    return identity
