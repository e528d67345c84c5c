"""What the service promised, held against a window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perftui.model.quantiles import NO_LATENCY
from perftui.model.summary import RouteSummary, SloVerdict, Totals
from perftui_agent.wire.frames import SloTarget

ALL = "all"
"""The scope of a target for all routes together."""


def judge(
    targets: Iterable[SloTarget], totals: Totals, routes: Iterable[RouteSummary]
) -> tuple[SloVerdict, ...]:
    """Return a verdict for each promise; one without a request to judge by is neither met nor missed."""
    by_label = {route.route: route for route in routes}
    return tuple(
        verdict
        for target in targets
        for verdict in _verdicts(target, totals if target.route is None else by_label.get(target.route))
    )


def _verdicts(target: SloTarget, measured: Totals | RouteSummary | None) -> Iterator[SloVerdict]:
    scope = target.route or ALL
    if measured is not None and not measured.requests:
        measured = None
    latency = measured.latency if measured else NO_LATENCY
    timed = latency.count
    if target.p95_ms is not None:
        yield _below(f"p95<{target.p95_ms:g}ms", scope, latency.p95_ms, target.p95_ms, timed)
    if target.p99_ms is not None:
        yield _below(f"p99<{target.p99_ms:g}ms", scope, latency.p99_ms, target.p99_ms, timed)
    requests = measured.requests if measured else 0
    if target.error_rate is not None:
        rate = measured.error_rate if measured else None
        yield _below(f"errors<{target.error_rate * 100:g}%", scope, rate, target.error_rate, requests)
    if target.rps is not None:
        rps = measured.rps if measured else None
        met = None if rps is None else rps >= target.rps
        yield SloVerdict(f"rps>={target.rps:g}", scope, rps, met, target.rps, requests)


def _below(slo: str, scope: str, value: float | None, bound: float, requests: int) -> SloVerdict:
    return SloVerdict(slo, scope, value, None if value is None else value < bound, bound, requests)
