"""What goes over connections, added up over workers and time, and its rows over a window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from perftui.model.after import ChannelSummary
from perftui.model.ledger import Ledger
from perftui.model.packed import Packed, merged, packed
from perftui.model.quantiles import latency_of, quantile_ms
from perftui_agent.wire.adding import bounded_counts
from perftui_agent.wire.channels import ChannelFrame
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import CHANNEL_SUMS, channel_key

Key = tuple[str, str]
"""Kind, route."""

MAX_DETAILS = 20

COST_OF_A_MESSAGE_NS = 100_000
COST_OF_A_CONNECTION_NS = 1_000_000

_SKETCHES = ("first", "lasted", "handling", "blocked")


class ChannelPart(msgspec.Struct, frozen=True, gc=False):
    """What went over the connections of one route."""

    first: Packed
    lasted: Packed
    handling: Packed
    blocked: Packed
    counts: tuple[int, ...]
    """Those of `CHANNEL_SUMS`."""
    failures: Mapping[str, int]
    codes: Mapping[str, int]


def channel_of(frames: Sequence[ChannelFrame]) -> ChannelPart:
    """Return what went over one route's connections to several workers."""
    return ChannelPart(
        **{name: packed([getattr(frame, name) for frame in frames]) for name in _SKETCHES},
        counts=tuple([sum([getattr(frame, name) for frame in frames]) for name in CHANNEL_SUMS]),
        failures=_added([frame.failures for frame in frames]),
        codes=_added([frame.codes for frame in frames]),
    )


def channel_sum(parts: Sequence[ChannelPart]) -> ChannelPart:
    """Return all `parts` added up."""
    return ChannelPart(
        **{name: merged([getattr(part, name) for part in parts]) for name in _SKETCHES},
        counts=tuple([sum(each) for each in zip(*[part.counts for part in parts], strict=True)]),
        failures=_added([part.failures for part in parts]),
        codes=_added([part.codes for part in parts]),
    )


def _cost_of(part: ChannelPart) -> int:
    """Return how much it matters."""
    counts = dict(zip(CHANNEL_SUMS, part.counts, strict=True))
    messages = counts["received"] + counts["sent"]
    return part.handling.total + messages * COST_OF_A_MESSAGE_NS + counts["opened"] * COST_OF_A_CONNECTION_NS


LEDGER: Ledger[Key, ChannelFrame, ChannelPart] = Ledger(
    key=channel_key, fold=channel_of, add=channel_sum, cost=_cost_of, bound=1000, other=("", "(other)")
)


def channel_rows(
    parts: Mapping[Key, ChannelPart], last_frames: Iterable[Frame], covered_s: float
) -> tuple[ChannelSummary, ...]:
    """Return every route with connections, the busiest first; gauges are those of the last frames."""
    gauges: dict[Key, list[ChannelFrame]] = {}
    for frame in last_frames:
        for row in frame.channels:
            gauges.setdefault(channel_key(row), []).append(row)
    rows = [_row(key, part, gauges.get(key, []), covered_s) for key, part in parts.items()]
    rows.sort(key=lambda row: (-(row.handling_ms + row.received + row.sent), -row.open, row.route, row.kind))
    return tuple(rows)


def _row(key: Key, part: ChannelPart, gauges: list[ChannelFrame], covered_s: float) -> ChannelSummary:
    kind, route = key
    counts = dict(zip(CHANNEL_SUMS, part.counts, strict=True))
    handling = latency_of(part.handling)
    sent = counts["sent"]

    def per_second(name: str) -> float | None:
        return counts[name] / covered_s if covered_s else None

    return ChannelSummary(
        route=route,
        kind=kind,
        open=sum(row.open for row in gauges),
        opened=counts["opened"],
        closed=counts["closed"],
        received=counts["received"],
        received_per_s=per_second("received"),
        received_bytes_per_s=per_second("received_bytes"),
        sent=sent,
        sent_per_s=per_second("sent"),
        sent_bytes_per_s=per_second("sent_bytes"),
        first_p95_ms=quantile_ms(part.first, 0.95),
        firsts=part.first.count,
        lasted_p50_ms=quantile_ms(part.lasted, 0.5),
        handled=part.handling.count,
        handling_p50_ms=handling.p50_ms,
        handling_p95_ms=handling.p95_ms,
        handling_max_ms=handling.max_ms,
        handling_ms=part.handling.total / 1e6,
        unjudged=counts["unjudged"],
        replies=counts["replies"],
        queued=counts["queued"],
        held_ms=counts["held_ns"] / 1e6,
        news_ms=counts["news_ns"] / 1e6,
        under_way=sum(row.under_way for row in gauges),
        longest_ms=max((row.longest_ns for row in gauges if row.under_way), default=0) / 1e6,
        blocked=part.blocked.count,
        blocked_p95_ms=_among_all(part.blocked, sent),
        blocked_max_ms=part.blocked.max / 1e6 if part.blocked.count else None,
        blocked_ms=counts["blocked_ns"] / 1e6,
        sending=sum(row.sending for row in gauges),
        sending_longest_ms=max((row.sending_longest_ns for row in gauges if row.sending), default=0) / 1e6,
        errors=counts["errors"],
        failures=part.failures,
        codes=part.codes,
        sql=counts["sql_count"],
        sql_ms=(counts["sql_ns"] + counts["transaction_ns"]) / 1e6,
        cache=counts["cache_count"],
        cache_ms=counts["cache_ns"] / 1e6,
        calls=counts["http_count"],
        calls_ms=counts["http_ns"] / 1e6,
    )


def _among_all(blocked: Packed, sends: int) -> float | None:
    """Return p95 of how long all sends were held up, of which most may not have been."""
    if not sends:
        return None
    share = 0.05 * sends / blocked.count if blocked.count else 1.0
    return quantile_ms(blocked, 1.0 - share) if share < 1.0 else 0.0


def _added(several: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    some = [counts for counts in several if counts]
    if len(some) < 2:
        return some[0] if some else {}
    added: dict[str, int] = {}
    for counts in some:
        for name, count in counts.items():
            added[name] = added.get(name, 0) + count
    return bounded_counts(added, MAX_DETAILS)
