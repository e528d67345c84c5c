"""`low-hit-ratio`: a cache that seldom hits costs memory and a look-up, and saves little."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import percent
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.findings.workers import at_work
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui_agent.wire.outside import CacheFrame

KIND = "low-hit-ratio"

MIN_LOOKUPS = 200
"""Of fewer, the ratio says more of what came first than of the cache."""

MISS_RATIO = Bar(0.7, 0.6)
"""In other words: hits below 30 %, until they are above 40 %."""

MEDIUM_MISS_RATIO = Bar(0.9, 0.85)
HIGH_MISS_RATIO = Bar(2.0, 2.0)
"""Never: a useless cache makes nothing slower than it is without."""

WARM_AFTER_S = 60.0
"""A worker this young has met most keys for the first time."""

MADE = Bar(0.3, 0.2)
"""Of the misses of keys in another process: who misses a cache makes what is missing, and stores it."""

_KEPT_FOR_ITSELF = re.compile(
    r" (?:idem\w*|dedup\w*|seen|nonces?|locks?|mutex|flags?|bans?|banned|block(?:ed|list)?|rate_?limit\w*"
    r"|limits?|throttle\w*|sess|sessions?|csrf|otp)(?=[:_.-])",
    re.IGNORECASE,
)
"""What keys are called that are noted for their own sake: the first time one is asked for it is absent, and
then it is stored, and that is all as it should be."""

LOOKUPS_PER_ENTRY = 2.0
"""A cache that holds nearly as many entries as it was asked for is being filled, not missed."""

FILLED_AFTER_S = 300.0
"""One that still fills after so long is asked for something new each time."""

REFILLED = (0.5, 3.0)
"""Entries for each miss of the window, of a cache that loses none: it was emptied, or made anew, and its
misses are what fills it. One that has many more was filled before, and is missed all the same."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each warm cache that misses most of the time."""
    age_s = max((worker.uptime_s or 0.0 for worker in at_work(summary)), default=0.0)
    for cache in summary.caches:
        lookups = cache.hits + cache.misses
        if lookups < MIN_LOOKUPS or is_cold(cache, age_s) or not _is_a_cache(cache, standing):
            continue
        if MISS_RATIO.reached(cache.misses / lookups, cache.name in standing):
            yield _finding(summary, cache, standing)


def _is_a_cache(cache: CacheFrame, standing: Standing) -> bool:
    """Say whether what is missed is made and stored; a lock, a ban or a flag that is absent is an answer."""
    if cache.filled is None:
        # An agent of before, which did not tell.
        return cache.kind != "redis"
    if _KEPT_FOR_ITSELF.search(cache.name):
        return False
    return MADE.reached(cache.filled / max(cache.misses, 1), cache.name in standing)


def is_cold(cache: CacheFrame, age_s: float) -> bool:
    """Say whether its misses may just be first looks, `age_s` after its process started."""
    if age_s < WARM_AFTER_S:
        return True
    lookups = cache.hits + cache.misses
    fills = not cache.evictions and lookups < LOOKUPS_PER_ENTRY * (cache.size or 0)
    return (fills and age_s < FILLED_AFTER_S) or _is_refilled(cache)


def _is_refilled(cache: CacheFrame) -> bool:
    if cache.evictions or cache.expirations or not cache.size or not cache.misses:
        return False
    least, most = REFILLED
    return least <= cache.size / cache.misses <= most


def _finding(summary: Summary, cache: CacheFrame, standing: Standing) -> Finding:
    lookups = cache.hits + cache.misses
    full = f", {cache.size:,} of {cache.maxsize:,} entries" if cache.size and cache.maxsize else ""
    aged = f", {cache.expirations:,} expired" if cache.expirations else ""
    return Finding(
        kind=KIND,
        severity=graded(cache.misses / lookups, MEDIUM_MISS_RATIO, HIGH_MISS_RATIO, standing.get(cache.name)),
        subject=quoted(cache.name, MAX_SUBJECT),
        sentence=f"hits {percent(cache.hits / lookups)} of {lookups:,} lookups{full}{aged}",
        evidence=cache_evidence(cache),
        advice=_advice(cache),
        impact=cache.misses / max(summary.window_s, 1.0),
        key=cache.name,
        cache=cache.name,
    )


def cache_evidence(cache: CacheFrame) -> dict[str, str | int | float | None]:
    """Return the figures that all findings about a cache rest on."""
    lookups = cache.hits + cache.misses
    return {
        "kind": cache.kind,
        "lookups": lookups,
        "hits": cache.hits,
        "misses": cache.misses,
        "hit_ratio": round(cache.hits / lookups, 6) if lookups else None,
        "evictions": cache.evictions,
        "expirations": cache.expirations,
        "stampedes": cache.stampedes,
        "filled": cache.filled,
        "size": cache.size,
        "maxsize": cache.maxsize,
    }


def _advice(cache: CacheFrame) -> str:
    if cache.expirations > (cache.evictions or 0):
        return "Entries expire before they are asked for again: a longer TTL, if the data may be that old."
    if cache.evictions:
        return "Entries are evicted before they are asked for again: a larger maxsize, or fewer keys."
    return "Look at its key: something in it differs from call to call. If that must be, drop the cache."


CRITERIA = Criteria(
    kind=KIND,
    means="a cache seldom hits: it costs memory and a lookup, and saves little",
    subject="cache",
    when=(
        At("of the lookups that miss", MISS_RATIO, "share"),
        f"{MIN_LOOKUPS} lookups and more",
        At("of the misses in another process that were made and stored", MADE, "share"),
    ),
    medium=f"{graded_by(MEDIUM_MISS_RATIO, 'share')} of misses",
    never="caches that are still filling or were emptied just now; keys noted for their own sake: locks, "
    f"bans, sessions; workers younger than {written(WARM_AFTER_S, 's')}",
)
