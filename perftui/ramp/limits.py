"""What gave: from what the agents saw at the rate that was kept up and at the one that was not.

Two questions are asked of each resource: how full it was, and how much longer requests took because of it.
Time that grew names the place; how full it was says whether that was its own limit or somebody else's: a pool
is empty as well when each of its connections waits for a lock, and threads are all taken when they wait
for the GIL. Candidates are ranked by the time that grew, causes before what they cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perftui.model.summary import Finding, Summary
from perftui.ramp.candidates import Limit, Locked, candidates
from perftui.ramp.resources import EXPLAINS, FULL, MOST_FACTOR, Kind, parts_of, saturation
from perftui.ramp.search import Search

UNPROMISED: frozenset[Kind] = frozenset(
    {"none", "generator", "imbalance", "memory", "upstream", "database", "lock"}
)
"""What has no mend whose effect could be reckoned."""


def limits(
    search: Search,
    before: Summary,
    after: Summary,
    findings: Sequence[Finding] = (),
    locked: Locked | None = None,
) -> tuple[Limit, ...]:
    """Return what gave, the likeliest first; `before` and `after` are of the steps at the bracket's ends."""
    knee = search.knee_rps or 0.0
    grown = parts_of(after).grown_from(parts_of(before))
    used = saturation(after)
    found = candidates(after, grown, used, findings, locked)
    ranked = sorted(found, key=lambda each: -each.grew_ms * max(each.used, 0.2))
    return tuple(_promised(each, used, knee) for each in _causes_first(ranked))


def _causes_first(ranked: Sequence[Limit]) -> list[Limit]:
    """Return the candidates, each before what it explains; a cause is worth a third of its effect."""
    order = list(ranked)
    for cause in ranked:
        if cause.used < FULL:
            continue
        for effect in ranked:
            explains = effect.kind in EXPLAINS.get(cause.kind, frozenset())
            is_worth_it = cause.grew_ms * 3 >= effect.grew_ms or cause.kind in {"lock", "quota"}
            if explains and is_worth_it and order.index(effect) < order.index(cause):
                order.remove(cause)
                order.insert(order.index(effect), cause)
    return order


def _promised(limit: Limit, used: Mapping[Kind, float], knee: float) -> Limit:
    """Return a limit with the rate that its mend should give: up to where the next resource is full."""
    if not knee or limit.kind in UNPROMISED:
        return limit
    # What it explains is full because of it and bounds nothing by itself.
    own = EXPLAINS.get(limit.kind, frozenset()) | {limit.kind}
    others = [share for kind, share in used.items() if kind not in own and kind != "memory"]
    if limit.kind in {"loop", "gil"}:
        others = [share for kind, share in used.items() if kind == "cpu"]
    room = min(MOST_FACTOR, FULL / max(*others, 0.01)) if others else MOST_FACTOR
    return replace(limit, then_rps=round(knee * room, 1) if room > 1.05 else None)
