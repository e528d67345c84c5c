"""The caches that the app has shown us by `watch_cache`: one row each in every frame.

Watching works at any time and in any process, with or without an agent; what was counted before the
agent of this worker started is not its own and stays out.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple, Protocol

from perftui_agent.guard import Guard
from perftui_agent.probes.caches import cachetools
from perftui_agent.probes.caches.functions import (
    cache_to_watch_instead,
    counting_function,
    functions,
    name_of,
)
from perftui_agent.probes.caches.rows import CacheRow, rows
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.wire.frames import CacheFrame, Frame

NOTHING_WATCHED = "off: no cache is watched"

_log = logging.getLogger("perftui")


def watch(cache: Any, name: str | None, place: str) -> None:
    """Begin to watch a cache, unnamed ones under the `place` they were made at; TypeError for no cache."""
    function = None if cachetools.is_cachetools_cache(cache) else counting_function(cache)
    if function is None and not cachetools.is_cachetools_cache(cache):
        raise TypeError(_refusal(cache))
    try:
        if function is None:
            cachetools.watch(cache, name, place)
        elif (inner := cache_to_watch_instead(function)) is not None:
            cachetools.watch(inner, name, name_of(function))
        else:
            functions.add(function, name or name_of(function))
    except Exception as error:  # noqa: BLE001 - the app works as well with a cache that isn't watched
        _log.warning("perftui: %s can't be watched: %s", type(cache).__name__, error)


def _refusal(cache: Any) -> str:
    kind = getattr(cache, "__qualname__", None) or type(cache).__qualname__
    if hasattr(cache, "cache_key") or hasattr(cache, "cache_parameters"):
        return f"watch_cache: {kind} counts nothing: use cached(…, info=True), or watch its cache"
    return f"watch_cache: {kind} is neither a cachetools cache nor a function with cache_info()"


class BoundedSink(Protocol):
    """The window, as far as this probe needs it."""

    bounded: dict[str, int]


class Totals(NamedTuple):
    """What a row had counted at a moment."""

    hits: int
    misses: int
    evictions: int
    expirations: int
    stampedes: int


class CacheProbe:
    """Reads the rows; runs on the agent's thread."""

    name = "caches"

    def __init__(self, sink: BoundedSink, guard: Guard) -> None:
        self._sink = sink
        self._guard = guard
        self._seen: dict[CacheRow, Totals] | None = None

    def attach(self) -> ProbeStatus:
        """Start to count, and say whether there is anything to."""
        rows.guard = self._guard
        if self._seen is None:
            functions.rebase()
            self._seen = {row: _totals(row) for row in rows.all()}
        return ON if rows.all() else NOTHING_WATCHED

    def detach(self) -> None:
        """Leave the caches as they are: the app asked for it, and a later agent goes on from there."""

    def fill(self, frame: Frame) -> None:
        """Add each cache's share of this span, and its size now."""
        functions.poll()
        seen, now = self._seen or {}, {}
        for row in rows.all():
            before = seen.get(row, _NOTHING)
            # A lookup that a `__missing__` answers is a hit for a moment, and none when it has ended.
            totals = Totals(*map(max, before, _totals(row)))
            share = Totals(*map(int.__sub__, totals, before))
            if row.live or any(share):
                now[row] = totals
                size, maxsize = row.sizes()
                counted = share._asdict()
                if not row.sees_evictions:
                    del counted["evictions"]
                frame.caches.append(
                    CacheFrame(name=row.name, kind=row.kind, size=size, maxsize=maxsize, **counted)
                )
            else:
                rows.drop(row)
        self._seen = now
        if folded := rows.folded_away + functions.refused:
            self._sink.bounded["caches"] = self._sink.bounded.get("caches", 0) + folded


_NOTHING = Totals(0, 0, 0, 0, 0)


def _totals(row: CacheRow) -> Totals:
    return Totals(row.hits, row.misses, row.evictions, row.expirations, row.stampedes)
