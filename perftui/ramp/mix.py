"""A plan learned from what a service serves now: its routes, their shares, and the paths that were seen.

Only methods that change nothing are taken. A route with parameters is asked for by the paths of its requests
that were looked at (the slowest, and those in flight); one without a known path is left out, not made up.
"""

from __future__ import annotations

from collections import defaultdict

from perftui.model.summary import Summary
from perftui.ramp.plan import SAFE, Request

MOST_PATHS = 20
"""Of one route."""


def learned(summary: Summary) -> tuple[Request, ...]:
    """Return what is served now, as a plan; empty where nothing is known."""
    seen: dict[str, dict[str, None]] = defaultdict(dict)
    for row in summary.slowest:
        seen[row.request.route][row.request.path] = None
    for flight in summary.in_flight:
        seen[flight.request.route][flight.request.path] = None
    plan: list[Request] = []
    for route in summary.routes:
        method, _, template = route.route.partition(" ")
        if method not in SAFE or not template.startswith("/") or route.streaming or route.long_poll:
            continue
        paths = [template] if "{" not in template else list(seen[route.route])[:MOST_PATHS]
        paths = [path for path in paths if path.startswith("/") and not set(path) & set("{} ")]
        share = route.requests / max(len(paths), 1)
        plan += [Request(method, path, round(share, 3)) for path in paths]
    return tuple(plan)
