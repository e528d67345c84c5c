"""Work after the response, added up over workers and time, and its rows over a window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from perftui.model.after import BackgroundSummary
from perftui.model.ledger import Ledger
from perftui.model.packed import Packed, merged, packed
from perftui.model.quantiles import latency_of, quantile_ms
from perftui_agent.wire.adding import bounded_counts
from perftui_agent.wire.after import BackgroundFrame
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import BACKGROUND_SUMS, background_key

Key = tuple[str, str, str]
"""Kind, name, route."""

MAX_FAILURES = 20

COST_OF_ONE_NS = 1_000_000


class BackgroundPart(msgspec.Struct, frozen=True, gc=False):
    """What one function did for one route's requests."""

    latency: Packed
    wait: Packed
    counts: tuple[int, ...]
    """Those of `BACKGROUND_SUMS`."""
    failures: Mapping[str, int]


def background_of(frames: Sequence[BackgroundFrame]) -> BackgroundPart:
    """Return what one function did on several workers."""
    return BackgroundPart(
        latency=packed([frame.latency for frame in frames]),
        wait=packed([frame.wait for frame in frames if frame.wait is not None]),
        counts=tuple([sum([getattr(frame, name) for frame in frames]) for name in BACKGROUND_SUMS]),
        failures=_added([frame.failures for frame in frames]),
    )


def background_sum(parts: Sequence[BackgroundPart]) -> BackgroundPart:
    """Return all `parts` added up."""
    return BackgroundPart(
        latency=merged([part.latency for part in parts]),
        wait=merged([part.wait for part in parts]),
        counts=tuple([sum(each) for each in zip(*[part.counts for part in parts], strict=True)]),
        failures=_added([part.failures for part in parts]),
    )


def _cost_of(part: BackgroundPart) -> int:
    """Return how much it matters."""
    return part.latency.total + COST_OF_ONE_NS * part.latency.count


LEDGER: Ledger[Key, BackgroundFrame, BackgroundPart] = Ledger(
    key=background_key,
    fold=background_of,
    add=background_sum,
    cost=_cost_of,
    bound=1000,
    other=("", "(other)", ""),
)


def background_rows(
    parts: Mapping[Key, BackgroundPart], last_frames: Iterable[Frame]
) -> tuple[BackgroundSummary, ...]:
    """Return all work after the response, the costliest first; what runs is that of the last frames."""
    running: dict[Key, list[BackgroundFrame]] = {}
    for frame in last_frames:
        for row in frame.background:
            if row.running:
                running.setdefault(background_key(row), []).append(row)
    rows = [_row(key, part, running.get(key, [])) for key, part in parts.items()]
    # Of what ran amid the window and was not seen to end, its worker being gone, there is nothing to tell.
    rows = [row for row in rows if row.count or row.running]
    rows.sort(key=lambda row: (-(row.total_ms + (row.oldest_ms or 0.0)), row.name, row.kind, row.route))
    return tuple(rows)


def _row(key: Key, part: BackgroundPart, running: list[BackgroundFrame]) -> BackgroundSummary:
    kind, name, route = key
    counts = dict(zip(BACKGROUND_SUMS, part.counts, strict=True))
    latency = latency_of(part.latency)
    return BackgroundSummary(
        name=name,
        kind=kind,
        route=route,
        count=part.latency.count,
        errors=counts["errors"],
        failures=part.failures,
        running=sum(row.running for row in running),
        oldest_ms=max((row.oldest_ns / 1e6 for row in running), default=None),
        p50_ms=latency.p50_ms,
        p95_ms=latency.p95_ms,
        max_ms=latency.max_ms,
        total_ms=part.latency.total / 1e6,
        wait_p95_ms=quantile_ms(part.wait, 0.95),
        waits=part.wait.count,
        threaded=counts["threaded"],
        held=counts["held"],
        held_ms=counts["held_ns"] / 1e6,
        sql=counts["sql_count"],
        sql_ms=(counts["sql_ns"] + counts["transaction_ns"]) / 1e6,
        cache=counts["cache_count"],
        cache_ms=counts["cache_ns"] / 1e6,
        calls=counts["http_count"],
        calls_ms=counts["http_ns"] / 1e6,
    )


def _added(several: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    some = [counts for counts in several if counts]
    if len(some) < 2:
        return some[0] if some else {}
    added: dict[str, int] = {}
    for counts in some:
        for name, count in counts.items():
            added[name] = added.get(name, 0) + count
    return bounded_counts(added, MAX_FAILURES)
