"""`cache-thrash`: a cache that evicts as fast as it fills, and so forgets what it is asked for next.

Any full cache evicts one entry for each that comes in: that is a finding only if most lookups miss.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import percent, rate
from perftui.findings.low_hit_ratio import cache_evidence
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui_agent.wire.outside import CacheFrame

KIND = "cache-thrash"

MIN_EVICTIONS = 100

EVICTIONS_PER_MISS = Bar(0.8, 0.7)
"""Each miss fills one entry; some misses find nothing to store."""

MISS_RATIO = Bar(0.5, 0.4)
"""A full cache that hits more often than not does its work."""

MEDIUM_PER_SECOND = Bar(5.0, 3.5)
HIGH_PER_SECOND = Bar(1000.0, 700.0)
"""Evictions: what each costs is what it takes to fetch the entry again."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each cache that is too small for what goes through it."""
    for cache in summary.caches:
        lookups = cache.hits + cache.misses
        if cache.evictions is None or cache.evictions < MIN_EVICTIONS or not cache.misses:
            continue
        stands = cache.name in standing
        if EVICTIONS_PER_MISS.reached(cache.evictions / cache.misses, stands) and MISS_RATIO.reached(
            cache.misses / lookups, stands
        ):
            yield _finding(summary, cache, cache.evictions, standing)


def _finding(summary: Summary, cache: CacheFrame, evictions: int, standing: Standing) -> Finding:
    lookups = cache.hits + cache.misses
    per_second = evictions / max(summary.window_s, 1.0)
    room = f" with room for {cache.maxsize:,}" if cache.maxsize else ""
    return Finding(
        kind=KIND,
        severity=graded(per_second, MEDIUM_PER_SECOND, HIGH_PER_SECOND, standing.get(cache.name)),
        subject=quoted(cache.name, MAX_SUBJECT),
        sentence=f"{evictions:,} evictions for {cache.misses:,} misses ({rate(per_second)} a second)"
        f"{room}: hits {percent(cache.hits / lookups)} of {lookups:,} lookups",
        evidence=cache_evidence(cache),
        advice="Give it a maxsize that holds what is asked for again within minutes; "
        "its hit ratio tells whether that was enough.",
        impact=per_second,
        key=cache.name,
        cache=cache.name,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="a cache evicts as fast as it fills",
    subject="cache",
    when=(
        f"{MIN_EVICTIONS} evictions and more",
        At("evictions for each miss", EVICTIONS_PER_MISS, "count"),
        At("of the lookups that miss", MISS_RATIO, "share"),
    ),
    medium=graded_by(MEDIUM_PER_SECOND, "a second"),
    high=graded_by(HIGH_PER_SECOND, "a second"),
)
