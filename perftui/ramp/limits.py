"""What gave: from what the agents saw at the rates that were kept up and at the one that was not.

Two questions are asked of each resource: how full it was, and how much longer requests took because of it.
Time that grew names the place; how full it was says whether that was its own limit or somebody else's: a pool
is empty as well when each of its connections waits for a lock, and threads are all taken when they wait
for the GIL. Candidates are ranked by the time that grew, causes before what they cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.ramp.candidates import candidates
from perftui.ramp.limit import Limit, Locked
from perftui.ramp.resources import EXPLAINS, FULL, Kind, least, parts_of, saturation
from perftui.ramp.room import Room, Used, room_of
from perftui.ramp.search import Search


def limits(
    search: Search,
    calm: Sequence[Summary],
    after: Summary,
    used: Mapping[Kind, float],
    findings: Sequence[Finding] = (),
    locked: Locked | None = None,
    kept_up: Used = (),
) -> tuple[Limit, ...]:
    """Return what gave, the likeliest first; `after` is of the step that was not kept up with.

    `calm` are of those that were: what has grown is told from the least that each part has taken in any.
    Right below the knee it has grown already, and from there to right above it by little more than chance.
    `used` is how full all was in the step that was not kept up with, `kept_up` in each that was.
    """
    low = search.low.seen.rate if search.low else search.knee_rps or 1.0
    before = calm or (after,)
    room = room_of(search.knee_rps or 0.0, kept_up or [(low, saturation(before[-1]))])
    grown = parts_of(after).grown_from(least(map(parts_of, before)))
    found = candidates(after, grown, used, findings, locked, room)
    ranked = sorted(found, key=lambda each: -each.grew_ms * max(each.used, 0.2))
    return tuple(_promised(each, room) for each in _causes_first(ranked))


def _causes_first(ranked: Sequence[Limit]) -> list[Limit]:
    """Return the candidates, each before what it explains; a cause is worth a third of its effect.

    And half of the time for which what it filled is held: a pool of two is full at forty a second with fifty
    ms each, and not because statements take fifteen ms more.
    """
    order = list(ranked)
    for cause in ranked:
        if cause.used < FULL:
            continue
        for effect in ranked:
            explains = effect.kind in EXPLAINS.get(cause.kind, frozenset())
            is_worth_it = cause.grew_ms >= max(effect.grew_ms / 3, effect.held_ms / 2)
            is_worth_it = is_worth_it or cause.kind in {"lock", "quota"}
            if explains and is_worth_it and order.index(effect) < order.index(cause):
                order.remove(cause)
                order.insert(order.index(effect), cause)
    return order


def _promised(limit: Limit, room: Room) -> Limit:
    """Return a limit with the rate that its mend should give: up to where the next resource is full."""
    if not room.knee_rps or limit.factor is None:
        return limit
    rate = room.promised(limit.kind, limit.factor)
    following = room.next_to(limit.kind)
    return replace(
        limit,
        then_rps=round(rate, 1) if rate > 1.05 * room.knee_rps else None,
        next_kind=following[0] if following else None,
        next_rps=round(following[1], 1) if following else None,
    )


def following(ranked: Sequence[Limit]) -> Limit | None:
    """Return the limit that comes next: what is full once the first is mended, else the next candidate."""
    if ranked and (kind := ranked[0].next_kind) is not None and (rate := ranked[0].next_rps) is not None:
        same = next((each for each in ranked[1:] if each.kind == kind), None)
        if same is not None:
            return same
        return Limit(
            kind, sentence=f"{_NAMES.get(kind, kind)} full at some {rate:.0f}/s, as its use grew so far"
        )
    return ranked[1] if len(ranked) > 1 else None


_NAMES: Mapping[Kind, str] = {
    "loop": "a worker's core is",
    "cpu": "the machine's processors are",
    "quota": "the quota of CPU is",
    "threadpool": "the threads are",
    "pool": "the connection pool is",
    "client-pool": "the client's connections are",
}
