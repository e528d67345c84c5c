"""The caches that the app has shown us by `watch_cache`: one row each in every frame.

Watching works at any time and in any process, with or without an agent; what was counted before the
agent of this worker started is not its own and stays out.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from perftui_agent.guard import Guard
from perftui_agent.probes.caches import cachetools
from perftui_agent.probes.caches.functions import (
    cache_to_watch_instead,
    counting_function,
    functions,
    name_of,
)
from perftui_agent.probes.caches.rows import MAX_CACHES, OTHER_CACHES, CacheRow, Totals, rows
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import merge_cache
from perftui_agent.wire.outside import CacheFrame

FADING = 0.99
"""What a cache's uses count for a second later: half after a minute."""

COST_OF_A_MISS = 10
"""In hits: what was not there has to be made."""

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
    forgotten: dict[str, int]


class CacheProbe:
    """Reads the rows; runs on the agent's thread."""

    name = "caches"

    def __init__(self, sink: BoundedSink, guard: Guard) -> None:
        self._sink = sink
        self._guard = guard
        self._attached = False
        self._told: set[str] = set()

    def attach(self) -> ProbeStatus:
        """Start to count, and say whether there is anything to."""
        rows.guard = self._guard
        if not self._attached:
            self._attached = True
            functions.rebase()
            for row in rows.all():
                row.told = row.totals()
        return ON if rows.all() else NOTHING_WATCHED

    def detach(self) -> None:
        """Leave the caches as they are: the app asked for it, and a later agent goes on from there."""

    def fill(self, frame: Frame) -> None:
        """Add each cache's share of this span, and its size now: of as many as there is room for."""
        functions.poll()
        shares: dict[CacheRow, Totals] = {}
        for row in rows.all():
            row.told, share = row.untold()
            if row.live or any(share):
                shares[row] = share
            else:
                rows.drop(row)
        told, other = _costliest(shares)
        frame.caches += [_frame_of(row, share, row.sizes()) for row, share in told.items()]
        if other is not None:
            frame.caches.append(other)
        folded = len(shares) - len(told) + rows.folded_away + functions.waiting
        if folded:
            self._sink.bounded["caches"] = self._sink.bounded.get("caches", 0) + folded
        rows.forgotten += self._untold(told, shares)
        self._sink.forgotten["caches"] = rows.forgotten

    def _untold(self, told: dict[CacheRow, Totals], shares: dict[CacheRow, Totals]) -> int:
        """Return how many of the rows that the last frame had told of have lost their place."""
        before, self._told = self._told, {row.name for row in told}
        return len(before & {row.name for row in shares} - self._told)


def _costliest(shares: dict[CacheRow, Totals]) -> tuple[dict[CacheRow, Totals], CacheFrame | None]:
    """Return the rows that a frame has room for, and what the others come to."""
    for row, share in shares.items():
        row.cost = row.cost * FADING + share.hits + COST_OF_A_MISS * (share.misses + share.evictions)
    if len(shares) <= MAX_CACHES:
        return shares, None
    ordered = sorted(shares, key=lambda row: (row.name != OTHER_CACHES, row.live > 0, row.cost), reverse=True)
    rest = [_frame_of(row, shares[row], (None, None)) for row in ordered[MAX_CACHES:]]
    other = CacheFrame(name=OTHER_CACHES, kind=rest[0].kind)
    for each in rest:
        merge_cache(other, each)
    return {row: shares[row] for row in ordered[:MAX_CACHES]}, other


def _frame_of(row: CacheRow, share: Totals, sizes: tuple[int | None, int | None]) -> CacheFrame:
    counted = share._asdict()
    if not row.sees_evictions:
        del counted["evictions"]
    return CacheFrame(name=row.name, kind=row.kind, size=sizes[0], maxsize=sizes[1], **counted)
