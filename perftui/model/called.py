"""What upstreams were asked for, path by path: parts that add up, and their rows over a window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from perftui.model.intervals import SURE_Z, Ranked
from perftui.model.outside_summary import CalledSummary
from perftui.model.packed import Packed, merged, packed
from perftui.model.quantiles import quantile_ms
from perftui_agent.wire.adding import OTHER, bounded_counts
from perftui_agent.wire.called import UpstreamPath
from perftui_agent.wire.merging_upstreams import CALLED_SUMS, called_paths
from perftui_agent.wire.outside import UpstreamFrame

MAX_PATHS = 50
"""Of one upstream, the costliest; the others share `(other)`."""

MAX_DETAILS = 20
"""Routes, call sites and kinds of failures of one path."""


class CalledPart(msgspec.Struct, frozen=True, gc=False):
    """Calls of one upstream for paths of one shape."""

    path: str
    answer: Packed
    counts: tuple[int, ...]
    """Those of `CALLED_SUMS`."""
    spent: Mapping[str, int]
    call_sites: Mapping[str, int]
    failures: Mapping[str, int]


def called_of(frames: Iterable[UpstreamFrame], whole: Packed) -> tuple[CalledPart, ...]:
    """Return what one upstream was asked for by several workers; `whole` are all of its answers."""
    by_path: dict[str, list[UpstreamPath]] = {}
    for frame in frames:
        for row in called_paths(frame):
            by_path.setdefault(row.path, []).append(row)
    parts = []
    for path, rows in by_path.items():
        answers = sum([row.answer.count for row in rows if row.answer is not None])
        parts.append(
            CalledPart(
                path=path,
                # Most upstreams are asked for one thing: its answers are there already.
                answer=whole
                if len(by_path) == 1 and answers == whole.count
                else packed([row.answer for row in rows if row.answer is not None]),
                counts=tuple([sum([getattr(row, field) for row in rows]) for field in CALLED_SUMS]),
                spent=added([row.spent for row in rows], MAX_DETAILS),
                call_sites=added([row.call_sites for row in rows], MAX_DETAILS),
                failures=added([row.failures for row in rows], MAX_DETAILS),
            )
        )
    return _bounded(parts)


def called_sum(several: Iterable[Sequence[CalledPart]]) -> tuple[CalledPart, ...]:
    """Return all of these added up, path by path."""
    by_path: dict[str, list[CalledPart]] = {}
    for parts in several:
        for part in parts:
            by_path.setdefault(part.path, []).append(part)
    return _bounded([_sum(path, parts) for path, parts in by_path.items()])


def _sum(path: str, parts: Sequence[CalledPart]) -> CalledPart:
    if len(parts) == 1 and parts[0].path == path:
        return parts[0]
    return CalledPart(
        path=path,
        answer=merged([part.answer for part in parts]),
        counts=tuple([sum(each) for each in zip(*[part.counts for part in parts], strict=True)]),
        spent=added([part.spent for part in parts], MAX_DETAILS),
        call_sites=added([part.call_sites for part in parts], MAX_DETAILS),
        failures=added([part.failures for part in parts], MAX_DETAILS),
    )


def _bounded(parts: Sequence[CalledPart]) -> tuple[CalledPart, ...]:
    if len(parts) <= MAX_PATHS:
        return tuple(parts)
    ordered = sorted(parts, key=lambda part: (part.path != OTHER, part.answer.total), reverse=True)
    return (*ordered[: MAX_PATHS - 1], _sum(OTHER, ordered[MAX_PATHS - 1 :]))


def called_rows(parts: Iterable[CalledPart]) -> tuple[CalledSummary, ...]:
    """Return every path, those that cost most first."""
    rows = [_row(part) for part in parts]
    rows.sort(key=lambda row: (row.path == OTHER, -row.total_ms, row.path))
    return tuple(rows)


def _row(part: CalledPart) -> CalledSummary:
    counts = dict(zip(CALLED_SUMS, part.counts, strict=True))
    least_ns, _ = Ranked(part.answer).bounds(0.95, SURE_Z)
    return CalledSummary(
        path=part.path,
        calls=counts["calls"],
        errors=counts["errors"],
        failures=part.failures,
        answers=part.answer.count,
        answer_p50_ms=quantile_ms(part.answer, 0.5),
        answer_p95_ms=quantile_ms(part.answer, 0.95),
        answer_p95_least_ms=None if least_ns is None else least_ns / 1e6,
        answer_ms=part.answer.total / 1e6,
        total_ms=counts["ns"] / 1e6,
        body_ms=counts["body_ns"] / 1e6,
        held_ms=counts["held_ns"] / 1e6,
        spent_ms={name: part.spent[name] / 1e6 for name in most_first(part.spent)},
        call_sites={name: part.call_sites[name] for name in most_first(part.call_sites)},
    )


def most_first(counts: Mapping[str, int]) -> list[str]:
    """Return names by how much was counted of them, the same order each time."""
    return sorted(counts, key=lambda name: (-counts[name], name))


def added(several: Sequence[Mapping[str, int]], most: int) -> Mapping[str, int]:
    """Return counts added up, at most so many, the largest."""
    some = [counts for counts in several if counts]
    if len(some) < 2:
        return some[0] if some else {}
    total: dict[str, int] = {}
    for counts in some:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return bounded_counts(total, most)
