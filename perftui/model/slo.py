"""What the service promised, held against a window.

Who waits on purpose (a long poll) is in nobody's latency but its own. A route with a target of its own is
exempt from everyone's target for the same metric: a checkout that may take 700 ms would make a service miss
its 200 ms for ever. A rate is a sum: no route is left out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

from perftui.model.happenings import SloVerdict
from perftui.model.measures import Totals
from perftui.model.quantiles import NO_LATENCY, latency_of, together
from perftui.model.route_summary import RouteSummary
from perftui_agent.wire.identity import SloTarget
from perftui_agent.wire.parts import RouteLabel

ALL = "all"
"""The scope of a target for all routes together."""

Metric: TypeAlias = Literal["p95_ms", "p99_ms", "error_rate", "rps"]
"""What may be promised: the field of `SloTarget` that bounds it."""

Measured: TypeAlias = Totals | RouteSummary | None
"""What a target is held against; None without a request."""


def judge(
    targets: Iterable[SloTarget], totals: Totals, routes: Iterable[RouteSummary]
) -> tuple[SloVerdict, ...]:
    """Return a verdict for each promise; one without a request to judge by is neither met nor missed."""
    promises, rows = tuple(targets), tuple(routes)
    by_label = {row.route: row for row in rows}
    verdicts: list[SloVerdict] = []
    for target in promises:
        own = by_label.get(target.route) if target.route is not None else None

        def measured(metric: Metric, target: SloTarget = target, own: Measured = own) -> Measured:
            found = _everyone(metric, promises, totals, rows) if target.route is None else own
            return found if found is not None and found.requests else None

        verdicts += _verdicts(target, measured)
    return tuple(verdicts)


def _everyone(
    metric: Metric, targets: tuple[SloTarget, ...], totals: Totals, rows: tuple[RouteSummary, ...]
) -> Totals:
    """Return what everyone's target for a metric is about: the routes without one of their own."""
    own = {target.route for target in targets if getattr(target, metric) is not None}
    others = [row for row in rows if row.route not in own]
    if metric == "rps" or len(others) == len(rows):
        return totals
    timed = [row for row in others if not row.long_poll]
    requests, errors = sum(row.requests for row in others), sum(row.errors for row in others)
    return Totals(
        requests=requests,
        errors=errors,
        error_rate=errors / requests if requests else None,
        latency=latency_of(together(row.sketch for row in timed)),
    )


def left_out(verdict: SloVerdict, verdicts: Iterable[SloVerdict]) -> tuple[RouteLabel, ...]:
    """Return the routes that everyone's target is not held against, as they have one of their own."""
    if verdict.scope != ALL or verdict.slo.startswith("rps"):
        return ()
    return tuple(
        each.scope for each in verdicts if each.scope != ALL and _figure(each.slo) == _figure(verdict.slo)
    )


def _figure(slo: str) -> str:
    """Return what a promise is about: `p95` of `p95<200ms`."""
    return slo.partition("<")[0].partition("=")[0]


def _verdicts(target: SloTarget, measured: Callable[[Metric], Measured]) -> Iterator[SloVerdict]:
    scope = target.route or ALL
    if target.p95_ms is not None:
        latency = row.latency if (row := measured("p95_ms")) else NO_LATENCY
        yield _below(f"p95<{_written(target.p95_ms)}ms", scope, latency.p95_ms, target.p95_ms, latency.count)
    if target.p99_ms is not None:
        latency = row.latency if (row := measured("p99_ms")) else NO_LATENCY
        yield _below(f"p99<{_written(target.p99_ms)}ms", scope, latency.p99_ms, target.p99_ms, latency.count)
    if target.error_rate is not None:
        rate, requests = (row.error_rate, row.requests) if (row := measured("error_rate")) else (None, 0)
        if target.error_rate:
            promised = f"errors<{_written(target.error_rate * 100)}%"
            yield _below(promised, scope, rate, target.error_rate, requests)
        else:  # nothing is below none
            met = None if rate is None else rate == 0
            yield SloVerdict("errors=0", scope, rate, met, 0.0, requests)
    if target.rps is not None:
        rps, requests = (row.rps, row.requests) if (row := measured("rps")) else (None, 0)
        met = None if rps is None else rps >= target.rps
        yield SloVerdict(f"rps>={_written(target.rps)}", scope, rps, met, target.rps, requests)


def _below(slo: str, scope: str, value: float | None, bound: float, requests: int) -> SloVerdict:
    return SloVerdict(slo, scope, value, None if value is None else value < bound, bound, requests)


def _written(bound: float) -> str:
    """Return a bound as one would type it: an exponent is nothing that `perftui check` reads."""
    short = f"{bound:g}"
    return short if "e" not in short else f"{bound:.9f}".rstrip("0").rstrip(".")
