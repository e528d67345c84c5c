"""Which pools have a name of their own: those that are used, fifty at a time.

A pool is named as it is met, and known weakly. One that comes when all places are taken gets that of a pool
that nobody has used for a while, so that an app with an engine for each tenant sees those that matter now; if
all are in use, it shares `(other)` until one is not. Met on the app's threads, read on the agent's.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any, NamedTuple

from perftui_agent.engines import Engines
from perftui_agent.probes.sql.databases import database_of

MAX_POOLS = 50
"""Live pools with a name of their own; further ones share `(other)`."""

OTHER_POOLS = "(other)"

IDLE_AFTER_FRAMES = 5
"""Who has not been used in so many frames gives its place away."""

MAX_FRAMES_TO_ENGINE = 12


class KnownPool:
    """What a pool is called, kept on the pool itself: it goes when the pool goes."""

    __slots__ = ("database", "kind", "name", "quick_ns", "waiting", "waits")

    def __init__(self, name: str, kind: str, waits: bool) -> None:
        self.name = name
        self.database = ""
        self.quick_ns: list[int] | None = None
        """How long checkouts took that need no record, shared by all pools of the name; None where all do."""
        self.kind = kind
        self.waits = waits
        self.waiting: set[int] = set()
        """When each checkout that goes on now began."""


class Place(NamedTuple):
    """Who has a name: a pool, and its dialect. `Engine.dispose` replaces the one and keeps the other."""

    pool: weakref.ref[Any]
    dialect: weakref.ref[Any]
    dialect_id: int
    """Of no use once the dialect is gone, but to forget it by."""


class PoolPlaces:
    """The pools that have a name of their own."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self.pools: dict[str, Place] = {}
        """By name."""
        self._names: dict[int, str] = {}
        """By the id of a dialect: an engine for each request would else look at all fifty each time."""
        self.quick: dict[str, tuple[str, list[int]]] = {}
        """By name: of what kind the pool is, and how long its quick checkouts in this span took."""
        self.may_have_room = True
        """Whether a pool without a place may look for one: once none was found, not before the next frame."""
        self._idle: dict[str, int] = {}
        """For how many frames nobody has used it."""

    def place(self, pool: Any, known: KnownPool) -> None:
        """Give a pool a name, if there is room for one more or another has fallen idle."""
        engine = engine_of(pool)
        known.database = database_of(engine) or known.kind
        known.name = self._name(pool, engine)
        if known.waits and known.name != OTHER_POOLS:
            known.quick_ns = self.quick.setdefault(known.name, (known.kind, []))[1]

    def used(self, name: str, is_used: bool) -> None:
        """Note whether a pool was used in the span that ends now."""
        self._idle[name] = 0 if is_used else self._idle.get(name, 0) + 1

    def forget(self, name: str) -> None:
        """Take a place away."""
        place = self.pools.pop(name, None)
        self._idle.pop(name, None)
        self._engines.forget(name)
        if place is None:
            return
        if self._names.get(place.dialect_id) == name:
            self._names.pop(place.dialect_id, None)
        known: KnownPool | None = getattr(place.pool(), "_perftui_known", None)
        if known is not None:
            known.name, known.quick_ns = OTHER_POOLS, None

    def _name(self, pool: Any, engine: Any) -> str:
        dialect = pool._dialect
        name = self._names.get(id(dialect), "")
        place = self.pools.get(name)
        if place is not None and place.dialect() is dialect:
            self.pools[name] = place._replace(pool=weakref.ref(pool))
            return name
        if len(self.pools) >= MAX_POOLS and not (self.may_have_room and self._make_room()):
            self.may_have_room = False
            return OTHER_POOLS
        base = name = _name_of(pool, engine)
        number = 1
        while name in self.pools and self.pools[name].pool() is not None:
            number += 1
            name = f"{base} #{number}"
        self.pools[name] = Place(weakref.ref(pool), weakref.ref(dialect), id(dialect))
        self._names[id(dialect)] = name
        self._idle[name] = 0
        if engine is not None:
            self._engines.add(name, engine)
        return name

    def _make_room(self) -> bool:
        """Forget the dead; if there are none, the one that has been idle for longest."""
        for name, place in list(self.pools.items()):
            if place.pool() is None:
                self.forget(name)
        if len(self.pools) < MAX_POOLS:
            return True
        idle = max(self.pools, key=lambda name: self._idle.get(name, 0), default="")
        if self._idle.get(idle, 0) < IDLE_AFTER_FRAMES:
            return False
        self.forget(idle)
        return True


def _name_of(pool: Any, engine: Any) -> str:
    name = getattr(pool, "logging_name", None) or getattr(engine, "logging_name", None)
    return str(name or database_of(engine) or getattr(pool._dialect, "name", "") or type(pool).__name__)


def engine_of(pool: Any) -> Any:
    """Return the engine that this checkout is for. A pool doesn't know it, its caller does."""
    frame = sys._getframe(1)
    for _ in range(MAX_FRAMES_TO_ENGINE):
        engine = frame.f_locals.get("self") if frame.f_code.co_name == "raw_connection" else None
        if getattr(engine, "pool", None) is pool:
            return engine
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None
