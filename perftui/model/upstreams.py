"""What other services add up to, as `usage` does it for databases, and their rows over a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

import msgspec

from perftui.model.called import CalledPart, added, called_of, called_rows, called_sum, most_first
from perftui.model.intervals import SURE_Z, Ranked
from perftui.model.ledger import Ledger
from perftui.model.outside_summary import UpstreamSummary
from perftui.model.packed import Packed, merged, packed
from perftui.model.quantiles import latency_of, quantile_ms
from perftui_agent.wire.called import NewClients
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging_upstreams import UPSTREAM_SUMS, merge_made, merge_repeated_calls
from perftui_agent.wire.outside import UpstreamFrame
from perftui_agent.wire.requests import RepeatedCalls

Key = tuple[str, str, str]
"""Host, method, library."""

MAX_DETAILS = 50
"""Routes, call sites, kinds of failures and repetitions of one upstream."""

PROBES = ("httpx", "httpx2", "aiohttp", "urllib3")
"""Who sees outgoing calls."""


class UpstreamPart(msgspec.Struct, frozen=True, gc=False):
    """What one host was asked by one method through one library."""

    latency: Packed
    answer: Packed
    pool_wait: Packed
    connect: Packed
    counts: tuple[int, ...]
    """Those of `UPSTREAM_SUMS`."""
    routes: Mapping[str, int]
    spent: Mapping[str, int]
    call_sites: Mapping[str, int]
    failures: Mapping[str, int]
    repeats: tuple[RepeatedCalls, ...]
    paths: tuple[CalledPart, ...]
    made: tuple[NewClients, ...]


_counts: Callable[[UpstreamFrame], tuple[int, ...]] = attrgetter(*UPSTREAM_SUMS)


def key_of(frame: UpstreamFrame) -> Key:
    """Return what tells an upstream from others."""
    return frame.host, frame.method, frame.library


def upstream_of(frames: Sequence[UpstreamFrame]) -> UpstreamPart:
    """Return what one upstream was asked by several workers."""
    answer = packed([frame.answer for frame in frames])
    return UpstreamPart(
        latency=packed([frame.latency for frame in frames]),
        answer=answer,
        pool_wait=packed([frame.pool_wait for frame in frames if frame.pool_wait is not None]),
        connect=packed([frame.connect for frame in frames if frame.connect is not None]),
        counts=tuple([sum(each) for each in zip(*map(_counts, frames), strict=True)]),
        routes=added([frame.routes for frame in frames], MAX_DETAILS),
        spent=added([frame.spent for frame in frames], MAX_DETAILS),
        call_sites=added([frame.call_sites for frame in frames], MAX_DETAILS),
        failures=added([frame.failures for frame in frames], MAX_DETAILS),
        repeats=_repeats([frame.repeats for frame in frames if frame.repeats]),
        paths=called_of(frames, answer),
        made=_made([frame.made for frame in frames if frame.made]),
    )


def upstream_sum(parts: Sequence[UpstreamPart]) -> UpstreamPart:
    """Return all `parts` added up."""
    return UpstreamPart(
        latency=merged([part.latency for part in parts]),
        answer=merged([part.answer for part in parts]),
        pool_wait=merged([part.pool_wait for part in parts]),
        connect=merged([part.connect for part in parts]),
        counts=tuple([sum(each) for each in zip(*[part.counts for part in parts], strict=True)]),
        routes=added([part.routes for part in parts], MAX_DETAILS),
        spent=added([part.spent for part in parts], MAX_DETAILS),
        call_sites=added([part.call_sites for part in parts], MAX_DETAILS),
        failures=added([part.failures for part in parts], MAX_DETAILS),
        repeats=_repeats([part.repeats for part in parts if part.repeats]),
        paths=called_sum([part.paths for part in parts]),
        made=_made([part.made for part in parts if part.made]),
    )


def _cost_of(part: UpstreamPart) -> int:
    """Return how much an upstream matters."""
    return part.latency.total + 1_000_000 * part.latency.count


LEDGER: Ledger[Key, UpstreamFrame, UpstreamPart] = Ledger(
    key=key_of, fold=upstream_of, add=upstream_sum, cost=_cost_of, bound=1000, other=("(other)", "", "")
)


def upstream_rows(
    parts: Mapping[Key, UpstreamPart], last_frames: Iterable[Frame]
) -> tuple[UpstreamSummary, ...]:
    """Return every upstream, those that cost most first; gauges are summed over the workers' last frames."""
    gauges: dict[Key, list[UpstreamFrame]] = {}
    for frame in last_frames:
        for row in frame.upstreams:
            gauges.setdefault(key_of(row), []).append(row)
    rows = [_row(key, part, gauges.get(key, [])) for key, part in parts.items()]
    rows.sort(key=lambda row: (-row.total_ms, row.host, row.method, row.library))
    return tuple(rows)


def _row(key: Key, part: UpstreamPart, gauges: list[UpstreamFrame]) -> UpstreamSummary:
    host, method, library = key
    counts = dict(zip(UPSTREAM_SUMS, part.counts, strict=True))
    routes = sorted(part.routes, key=lambda route: (-part.spent.get(route, 0), route))
    calls = part.latency.count
    least_ns, _ = Ranked(part.answer).bounds(0.95, SURE_Z)
    return UpstreamSummary(
        host=host,
        method=method,
        library=library,
        count=calls,
        errors=counts["errors"],
        timeouts=counts["timeouts"],
        pool_timeouts=counts["pool_timeouts"],
        cancelled=counts["cancelled"],
        retries=counts["retries"],
        failures=part.failures,
        latency=latency_of(part.latency),
        total_ms=part.latency.total / 1e6,
        answer_p50_ms=quantile_ms(part.answer, 0.5),
        answer_p95_ms=quantile_ms(part.answer, 0.95),
        answer_p95_least_ms=None if least_ns is None else least_ns / 1e6,
        answers=part.answer.count,
        answer_ms=part.answer.total / 1e6,
        pool_wait_p95_ms=_among_all(part.pool_wait, calls),
        pool_waits=part.pool_wait.count,
        pool_wait_ms=part.pool_wait.total / 1e6,
        connect_p95_ms=quantile_ms(part.connect, 0.95),
        connects=part.connect.count,
        connect_ms=part.connect.total / 1e6,
        tls_ms=counts["tls_ns"] / 1e6,
        body_ms=counts["body_ns"] / 1e6,
        held_ms=counts["held_ns"] / 1e6,
        held=counts["held"],
        held_unknown=counts["held_unknown"],
        received_bytes=counts["received_bytes"],
        opened=counts["opened"],
        reused=max(0, part.answer.count - counts["opened"]),
        clients=counts["clients"],
        requests=counts["requests"],
        under_way=sum(each.under_way for each in gauges),
        oldest_ms=max((each.oldest_ns for each in gauges), default=0) / 1e6,
        waiting=sum(each.waiting for each in gauges),
        longest_wait_ms=max((each.longest_wait_ns for each in gauges), default=0) / 1e6,
        connections=_sum([each.connections for each in gauges]),
        idle=_sum([each.idle for each in gauges]),
        limit=_sum([each.limit for each in gauges]),
        processes=max(sum(each.limit is not None for each in gauges), 1),
        routes={route: part.routes[route] for route in routes},
        spent_ms={route: part.spent.get(route, 0) / 1e6 for route in routes},
        call_sites={place: part.call_sites[place] for place in most_first(part.call_sites)},
        repeats=tuple(sorted(part.repeats, key=lambda each: -each.ns)),
        paths=called_rows(part.paths),
        made=part.made,
    )


def _among_all(waits: Packed, calls: int) -> float | None:
    """Return p95 of the waits of all calls, of which most may have waited for nothing."""
    if not calls:
        return None
    share = 0.05 * calls / waits.count if waits.count else 1.0
    return quantile_ms(waits, 1.0 - share) if share < 1.0 else 0.0


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _made(several: Iterable[Iterable[NewClients]]) -> tuple[NewClients, ...]:
    total: list[NewClients] = []
    for made in several:
        # As of repeats.
        merge_made(total, [msgspec.structs.replace(each) for each in made])
    return tuple(sorted(total, key=lambda each: -each.clients)[:MAX_DETAILS])


def _repeats(several: Iterable[Iterable[RepeatedCalls]]) -> tuple[RepeatedCalls, ...]:
    added: list[RepeatedCalls] = []
    for repeats in several:
        # What is added to is a copy: what is added may be shared.
        merge_repeated_calls(added, [msgspec.structs.replace(each) for each in repeats])
    return tuple(sorted(added, key=lambda each: -each.ns)[:MAX_DETAILS])
