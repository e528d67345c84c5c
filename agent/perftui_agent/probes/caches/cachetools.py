"""Counts the lookups of single cachetools caches, in the app's own threads.

A watched cache changes its class to a generated subclass of it: nothing else sees `cache[key]`, and
caches that nobody watches stay as fast as they were. Works from cachetools 5.3 on; does not import it.
"""

from __future__ import annotations

import sys
from typing import Any
from weakref import ref

from perftui_agent.probes.caches.cachetools_class import make_class, set_class
from perftui_agent.probes.caches.rows import Gauge, rows
from perftui_agent.probes.caches.watch import ATTRIBUTE, Watch

MAX_CLASSES = 100
"""Generated classes that are kept for the next cache of their kind: making one takes 60 µs."""


def is_cachetools_cache(cache: object) -> bool:
    """Tell whether `cache` is one of cachetools' or derived from them."""
    base = getattr(sys.modules.get("cachetools"), "Cache", None)
    return isinstance(base, type) and isinstance(cache, base)


def watch(cache: Any, name: str | None, default_name: str) -> None:
    """Have the lookups of `cache` counted under `name`; an earlier name is given up, but not for None."""
    cls = type(cache)
    attributes = vars(cache)
    if ATTRIBUTE in vars(cls):
        current = attributes.get(ATTRIBUTE)
        if current is not None and (name is None or name == current.row.name):
            return
        attributes[ATTRIBUTE] = _new_watch(cache, cls, name or default_name)
    else:
        subclass = _watched_class(cls)
        attributes[ATTRIBUTE] = _new_watch(cache, cls, name or default_name)
        set_class(cache, subclass)
        _unshare(attributes)


def gauge_of(cache: Any) -> Gauge:
    """Return what reads the cache's size and changes nothing: `len` of a TTLCache throws entries out."""
    base = sys.modules["cachetools"].Cache
    weak = ref(cache)

    def read() -> tuple[int | None, int | None] | None:
        cache = weak()
        if cache is None:
            return None
        return whole(base.currsize.fget(cache)), whole(base.maxsize.fget(cache))

    return read


def whole(size: Any) -> int | None:
    """Return a size as an integer; None for what has none, such as a maxsize of inf."""
    try:
        return int(size)
    except (OverflowError, ValueError, TypeError):
        return None


def _unshare(attributes: dict[str, Any]) -> None:
    """Have an instance's attributes in a table of their own, by taking the last one out and putting it back.

    After its change of class a cache still shares the table of names of its old one, where the interpreter
    finds each attribute the slow way: 0.6 µs more for storing and evicting. Taking an item out parts them.
    """
    name, value = attributes.popitem()
    attributes[name] = value


def _new_watch(cache: Any, cls: type, name: str) -> Watch:
    return Watch(rows.row(name, f"cachetools.{_family(cls)}", gauge_of(cache)))


def _family(cls: type) -> str:
    """Return which of cachetools' own classes a cache is or derives from."""
    for base in cls.__mro__:
        if base.__module__ == "cachetools" and ATTRIBUTE not in vars(base):
            return base.__name__
    return "Cache"


_classes: dict[type, type] = {}


def _watched_class(original: type) -> type:
    known = _classes.get(original)
    if known is None:
        known = make_class(original)
        if len(_classes) < MAX_CLASSES:
            _classes[original] = known
    return known
