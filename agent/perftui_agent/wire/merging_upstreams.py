"""Merges what upstreams were asked: in a worker's older history, and of those a frame has no room for."""

from __future__ import annotations

import copy

from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.adding import KEPT_OF_A_KIND, OTHER, add, added_counts, merge_optional, merge_parts
from perftui_agent.wire.called import NewClients, UpstreamPath
from perftui_agent.wire.outside import UpstreamFrame
from perftui_agent.wire.requests import RepeatedCalls

UPSTREAM_SUMS = (
    "tls_ns",
    "body_ns",
    "held_ns",
    "held",
    "held_unknown",
    "errors",
    "timeouts",
    "pool_timeouts",
    "cancelled",
    "retries",
    "received_bytes",
    "opened",
    "clients",
    "requests",
)
CALLED_SUMS = ("calls", "errors", "ns", "body_ns", "held_ns")
"""What adds up of a path, by its name."""
_UPSTREAM_GAUGES = ("under_way", "oldest_ns", "waiting", "longest_wait_ns", "connections", "idle", "limit")
_REPEATED_SUMS = ("requests", "calls", "distinct", "ns")


def merge_upstream(older: UpstreamFrame, newer: UpstreamFrame) -> None:
    """Add what `newer` has counted to `older`, which takes its gauges."""
    # First: what each path has had is known by the whole.
    older.paths = _merged_called(older, newer)
    older.latency.merge(newer.latency)
    older.answer.merge(newer.answer)
    for field in ("pool_wait", "connect"):
        setattr(older, field, merge_optional(getattr(older, field), getattr(newer, field)))
    add(older, newer, UPSTREAM_SUMS)
    for field in _UPSTREAM_GAUGES:
        setattr(older, field, getattr(newer, field))
    for field in ("routes", "spent", "call_sites", "failures"):
        setattr(older, field, added_counts(getattr(older, field), getattr(newer, field)))
    merge_repeated_calls(older.repeats, newer.repeats)
    del older.repeats[KEPT_OF_A_KIND:]
    merge_made(older.made, newer.made)
    del older.made[KEPT_OF_A_KIND:]


def called_paths(row: UpstreamFrame) -> list[UpstreamPath]:
    """Return the paths of an upstream, each with its own figures; what is in them may be the upstream's."""
    if len(row.paths) != 1 or row.paths[0].answer is not None:
        return row.paths
    return [
        UpstreamPath(
            path=row.paths[0].path,
            calls=max(0, row.latency.count - row.cancelled - row.pool_timeouts),
            errors=max(0, row.errors - row.pool_timeouts),
            answer=row.answer,
            ns=row.latency.total,
            body_ns=row.body_ns,
            held_ns=row.held_ns,
            spent=row.spent,
            call_sites=row.call_sites,
            failures=row.failures,
        )
    ]


def _merged_called(older: UpstreamFrame, newer: UpstreamFrame) -> list[UpstreamPath]:
    """Return the paths of both, the costliest of which are kept apart."""
    if (older.host, older.method) != (newer.host, newer.method):
        return []
    if not (older.paths and newer.paths):
        # The other was not called; or a frame had no room for its paths, and this one's are not all there is.
        alone, other = (older, newer) if older.paths else (newer, older)
        return _own(alone) if other.latency.count else alone.paths
    if len(older.paths) == len(newer.paths) == 1 and older.paths == newer.paths and not older.paths[0].answer:
        return older.paths
    paths = _own(older)
    merge_parts(paths, _own(newer), lambda row: row.path, merge_called)
    if len(paths) > KEPT_OF_A_KIND + 1:
        paths.sort(key=lambda row: (row.path != OTHER, row.ns), reverse=True)
        rest = UpstreamPath(path=OTHER, answer=LatencySketch())
        for row in paths[KEPT_OF_A_KIND:]:
            merge_called(rest, row)
        paths[KEPT_OF_A_KIND:] = [rest]
    return paths


def _own(row: UpstreamFrame) -> list[UpstreamPath]:
    """Return the paths of an upstream, which share nothing with it."""
    return row.paths if called_paths(row) is row.paths else copy.deepcopy(called_paths(row))


def merge_called(older: UpstreamPath, newer: UpstreamPath) -> None:
    """Add what `newer` has counted to `older`; both have figures of their own."""
    older.answer = merge_optional(older.answer, newer.answer)
    add(older, newer, CALLED_SUMS)
    for field in ("spent", "call_sites", "failures"):
        setattr(older, field, added_counts(getattr(older, field), getattr(newer, field)))


def merge_made(older: list[NewClients], newer: list[NewClients]) -> None:
    """Add the clients that requests have made, route by route and place by place."""
    merge_parts(
        older,
        newer,
        lambda row: (row.route, row.call_site),
        lambda had, has: add(had, has, ("clients", "connect_ns", "tls_ns")),
    )


def merge_repeated_calls(older: list[RepeatedCalls], newer: list[RepeatedCalls]) -> None:
    """Add what requests have repeated, route by route and place by place."""
    merge_parts(older, newer, lambda row: (row.route, row.call_site), _merge_repeated)


def _merge_repeated(older: RepeatedCalls, newer: RepeatedCalls) -> None:
    add(older, newer, _REPEATED_SUMS)
    older.most = max(older.most, newer.most)
