"""What statements, connection pools and caches add up to, as `parts` does it for routes and workers.

Gauges (a pool's size, a cache's entries) belong to a moment and don't add up over time; they are read from
each worker's last frame instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

import msgspec

from perftui.model.ledger import OTHER, Ledger
from perftui.model.packed import Packed, merged, packed
from perftui_agent.wire.outside import CacheFrame, PoolFrame, StatementFrame
from perftui_agent.wire.parts import CodePlace, RouteLabel

MAX_ROUTES_OF_A_STATEMENT = 50
"""Those that ran it most often; the others share `(other)`."""

OTHER_ROUTES: RouteLabel = "(other)"

COST_OF_A_MISS = 10
"""In hits."""


class StatementPart(msgspec.Struct, frozen=True, gc=False):
    """What one statement shape did."""

    statement: str
    call_site: CodePlace | None
    """Empty if it is known that there are several."""
    database: str
    routes: Mapping[RouteLabel, int]
    errors: int
    slow: int
    same_binds: int
    unfollowed: int
    latency: Packed


def statement_of(frames: Sequence[StatementFrame]) -> StatementPart:
    """Return what one statement shape did on several workers."""
    return _statement(frames, packed([frame.latency for frame in frames]))


def statement_sum(parts: Sequence[StatementPart]) -> StatementPart:
    """Return all `parts` added up."""
    return _statement(parts, merged([part.latency for part in parts]))


def _statement(parts: Sequence[StatementFrame] | Sequence[StatementPart], latency: Packed) -> StatementPart:
    first = parts[0]
    sites = {part.call_site for part in parts if part.call_site is not None}
    return StatementPart(
        statement=max([part.statement for part in parts], key=len),
        call_site=_most_of_it(parts) if len(sites) > 1 else next(iter(sites), None),
        database=first.database,
        routes=_routes([part.routes for part in parts]),
        errors=sum([part.errors for part in parts]),
        slow=sum([part.slow for part in parts]),
        same_binds=sum([part.same_binds for part in parts]),
        unfollowed=sum([part.unfollowed for part in parts]),
        latency=latency,
    )


def _most_of_it(parts: Sequence[StatementFrame] | Sequence[StatementPart]) -> CodePlace:
    """Return the call site of the parts that have taken longest."""
    spent: dict[CodePlace, int] = {}
    for part in parts:
        if part.call_site is not None:
            spent[part.call_site] = spent.get(part.call_site, 0) + part.latency.total
    return max(spent, key=spent.__getitem__)


class PoolPart(msgspec.Struct, frozen=True, gc=False):
    """What happened at one connection pool."""

    kind: str
    checkouts: int
    timeouts: int
    wait: Packed


def pool_of(frames: Sequence[PoolFrame]) -> PoolPart:
    """Return what happened at one pool of several workers."""
    return _pool(frames, packed([frame.wait for frame in frames]))


def pool_sum(parts: Sequence[PoolPart]) -> PoolPart:
    """Return all `parts` added up."""
    return _pool(parts, merged([part.wait for part in parts]))


def _pool(parts: Sequence[PoolFrame] | Sequence[PoolPart], wait: Packed) -> PoolPart:
    return PoolPart(
        kind=parts[0].kind,
        checkouts=sum([part.checkouts for part in parts]),
        timeouts=sum([part.timeouts for part in parts]),
        wait=wait,
    )


class CachePart(msgspec.Struct, frozen=True, gc=False):
    """What happened at one cache."""

    hits: int
    misses: int
    evictions: int | None
    """None: none of its kind are seen."""
    expirations: int
    stampedes: int
    errors: int
    filled: int | None
    """None: it is a cache in any case."""
    latency: Packed | None
    """None: none of its commands were timed, as they never leave the process."""


def cache_of(frames: Sequence[CacheFrame]) -> CachePart:
    """Return what happened at one cache of several workers."""
    timed = [frame.latency for frame in frames if frame.latency is not None]
    return _cache(frames, packed(timed) if timed else None)


def cache_sum(parts: Sequence[CachePart]) -> CachePart:
    """Return all `parts` added up."""
    timed = [part.latency for part in parts if part.latency is not None]
    return _cache(parts, merged(timed) if timed else None)


def _cache(parts: Sequence[CacheFrame] | Sequence[CachePart], latency: Packed | None) -> CachePart:
    return CachePart(
        hits=sum([part.hits for part in parts]),
        misses=sum([part.misses for part in parts]),
        evictions=_sum([part.evictions for part in parts]),
        expirations=sum([part.expirations for part in parts]),
        stampedes=sum([part.stampedes for part in parts]),
        errors=sum([part.errors for part in parts]),
        filled=_sum([part.filled for part in parts]),
        latency=latency,
    )


def _sum(values: Sequence[int | None]) -> int | None:
    """Return the sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _routes(counted: Sequence[Mapping[RouteLabel, int]]) -> Mapping[RouteLabel, int]:
    if len(counted) == 1 and len(counted[0]) <= MAX_ROUTES_OF_A_STATEMENT:
        return counted[0]
    added: dict[RouteLabel, int] = {}
    for routes in counted:
        for route, count in routes.items():
            added[route] = added.get(route, 0) + count
    if len(added) <= MAX_ROUTES_OF_A_STATEMENT:
        return added
    ordered = sorted(added, key=lambda route: (route == OTHER_ROUTES, -added[route]))
    told = {route: added[route] for route in ordered[: MAX_ROUTES_OF_A_STATEMENT - 1]}
    told[OTHER_ROUTES] = sum([added[route] for route in ordered[MAX_ROUTES_OF_A_STATEMENT - 1 :]])
    return told


def _cost_of_statement(part: StatementPart) -> int:
    return part.latency.total


def _cost_of_pool(part: PoolPart) -> int:
    return part.wait.total + part.checkouts


def _cost_of_cache(part: CachePart) -> int:
    return part.hits + COST_OF_A_MISS * part.misses


STATEMENTS: Ledger[str, StatementFrame, StatementPart] = Ledger(
    key=attrgetter("fingerprint"),
    fold=statement_of,
    add=statement_sum,
    cost=_cost_of_statement,
    bound=2000,
    other=OTHER,
)

POOLS: Ledger[str, PoolFrame, PoolPart] = Ledger(
    key=attrgetter("name"), fold=pool_of, add=pool_sum, cost=_cost_of_pool, bound=1000, other=OTHER
)

CACHES: Ledger[tuple[str, str], CacheFrame, CachePart] = Ledger(
    key=attrgetter("name", "kind"),
    fold=cache_of,
    add=cache_sum,
    cost=_cost_of_cache,
    bound=1000,
    other=(OTHER, ""),
)
