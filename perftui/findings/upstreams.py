"""What the rules about other services share: rows of one host, whoever of them says most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perftui.model.outside_summary import CalledSummary, UpstreamSummary
from perftui.model.summary import Summary

OTHER = "(other)"

MAX_PATH = 60
"""Characters of a path in a sentence."""


def by_host(summary: Summary) -> Iterator[tuple[str, list[UpstreamSummary]]]:
    """Yield each host and its rows, the costliest first; nothing can be said of `(other)`."""
    hosts: dict[str, list[UpstreamSummary]] = {}
    for row in summary.upstreams:
        if row.host != OTHER:
            hosts.setdefault(row.host, []).append(row)
    yield from hosts.items()


def routes_of(rows: Iterable[UpstreamSummary | CalledSummary], summary: Summary) -> tuple[str, ...]:
    """Return the routes that call, the one that it costs most first."""
    spent: dict[str, float] = {}
    for row in rows:
        for route, ms in row.spent_ms.items():
            spent[route] = spent.get(route, 0.0) + ms
    return tuple(
        route for route in sorted(spent, key=lambda route: -spent[route]) if summary.route(route) is not None
    )


def failures_of(rows: Iterable[UpstreamSummary | CalledSummary]) -> dict[str, int]:
    """Return what calls failed with, most frequent first."""
    added: dict[str, int] = {}
    for row in rows:
        for name, count in row.failures.items():
            added[name] = added.get(name, 0) + count
    return {name: added[name] for name in sorted(added, key=lambda name: -added[name])}
