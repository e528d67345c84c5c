"""`cache-stampede`: many requests miss the same key at once, and all of them do the work."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import percent, times
from perftui.findings.low_hit_ratio import cache_evidence
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui_agent.wire.outside import CacheFrame

KIND = "cache-stampede"

STAMPEDES = Bar(20.0, 10.0)
"""Two requests that miss one key at the same time are chance; in each minute or so, twenty are not."""

SHARE = Bar(0.2, 0.1)
"""Of all misses."""

MEDIUM_SHARE = Bar(0.4, 0.3)
HIGH_PER_SECOND = 10.0
"""From here on, what the cache should protect gets a load of its own from the stampedes."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each cache whose keys are fetched by several requests at once."""
    for cache in summary.caches:
        stands = cache.name in standing
        if not cache.misses or not STAMPEDES.reached(cache.stampedes, stands):
            continue
        if SHARE.reached(cache.stampedes / cache.misses, stands):
            yield _finding(summary, cache, standing)


def _finding(summary: Summary, cache: CacheFrame, standing: Standing) -> Finding:
    share = cache.stampedes / cache.misses
    per_second = cache.stampedes / max(summary.window_s, 1.0)
    high = Bar(0.0, 0.0) if per_second >= HIGH_PER_SECOND else Bar(2.0, 2.0)
    return Finding(
        kind=KIND,
        severity=graded(share, MEDIUM_SHARE, high, standing.get(cache.name)),
        subject=quoted(cache.name, MAX_SUBJECT),
        sentence=f"{times(cache.stampedes)} a key was missed while another request was fetching it "
        f"({percent(min(share, 1.0))} of {cache.misses:,} misses)",
        evidence=cache_evidence(cache),
        advice="Let one request fetch a key and the others wait for it: a lock per key, "
        "or refresh entries before they expire.",
        impact=per_second,
        key=cache.name,
        cache=cache.name,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="many requests miss the same key at once, and all of them do the work",
    subject="cache",
    when=(
        At("misses of a key that another request was fetching already", STAMPEDES, "count"),
        At("of all misses", SHARE, "share"),
    ),
    medium=graded_by(MEDIUM_SHARE, "share"),
    high=f"from {HIGH_PER_SECOND:g} a second on",
)
