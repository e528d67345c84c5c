"""`n-plus-one`: single requests run one SELECT shape many times with other binds, from one place.

The agent counts repeats of single SELECTs alone: a batched insert, an `executemany` or the `IN (…)` of
a `selectinload` is one statement for many things, and never comes here.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, times
from perftui.findings.rule import Bar, Standing, graded, quoted, worst
from perftui.model.happenings import Finding, Severity
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui_agent.wire.requests import RepeatedShape

KIND = "n-plus-one"

REPEATS = Bar(5.0, 4.0)
"""Per request, as other N+1 detectors have it: two or three look-ups of a shape are what code does."""

OTHER_BINDS = 0.5
"""Share of executions with binds of their own. Below, the same thing is asked again: no join mends that."""

MIN_REQUESTS_REPEATING = 3
"""Each such request is proof by itself, so few are enough; one alone may be an odd argument."""

HIGH_MS = Bar(100.0, 70.0)
"""Per request: what a person notices."""
MEDIUM_MS = Bar(10.0, 7.0)
HIGH_REPEATS = Bar(30.0, 25.0)
"""Grows with the data; at 30, a slower database is a stop."""
MEDIUM_REPEATS = Bar(10.0, 8.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each route with such a shape; the costliest shape speaks for the route."""
    statements = {query.fingerprint: query.statement for query in summary.queries}
    for route in summary.routes:
        stands = route.route in standing
        shapes = [shape for shape in route.repeats if _is_n_plus_one(shape, stands)]
        if shapes:
            worst_shape = max(shapes, key=lambda shape: (shape.total_ns, shape.executions))
            yield _finding(summary, route, worst_shape, shapes, statements, standing.get(route.route))


def _is_n_plus_one(shape: RepeatedShape, stands: bool) -> bool:
    if shape.requests < MIN_REQUESTS_REPEATING or not shape.executions:
        return False
    if shape.distinct_binds < OTHER_BINDS * shape.executions:
        return False
    return REPEATS.reached(shape.executions / shape.requests, stands)


def _finding(
    summary: Summary,
    route: RouteSummary,
    shape: RepeatedShape,
    shapes: list[RepeatedShape],
    statements: dict[str, str],
    was: Severity | None,
) -> Finding:
    statement = quoted(statements.get(shape.fingerprint) or "one SELECT")
    repeats = shape.executions / shape.requests
    spent_ms = shape.total_ns / 1e6 / shape.requests
    mean_ms = route.total_ms / route.latency.count if route.latency.count else None
    place = f" from {shape.call_site}" if shape.call_site else ""
    # The mean is over all requests of the route; those that repeat may be slower than it.
    whole = f" of {ms(mean_ms)}" if mean_ms is not None and mean_ms >= spent_ms else ""
    more = f"; {len(shapes) - 1} more such" if len(shapes) > 1 else ""
    return Finding(
        kind=KIND,
        severity=worst(
            graded(spent_ms, MEDIUM_MS, HIGH_MS, was), graded(repeats, MEDIUM_REPEATS, HIGH_REPEATS, was)
        ),
        subject=route.route,
        sentence=f"{times(round(repeats))} {statement}{place}, {ms(spent_ms)}{whole} per request{more}",
        evidence={
            "statement": statement,
            "fingerprint": shape.fingerprint,
            "call_site": shape.call_site or None,
            "requests": shape.requests,
            "executions": shape.executions,
            "distinct_binds": shape.distinct_binds,
            "per_request": round(repeats, 2),
            "most_in_one_request": shape.most,
            "ms_per_request": round(spent_ms, 3),
            "route_mean_ms": None if mean_ms is None else round(mean_ms, 3),
            "shapes": len(shapes),
        },
        advice="One statement could do: selectinload or joinedload for what is loaded row by row, "
        f"or WHERE … IN (…){' at ' + shape.call_site if shape.call_site else ''}.",
        impact=sum(each.total_ns for each in shapes) / 1e6 / max(summary.window_s, 1.0),
        route=route.route,
        statement=shape.fingerprint,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="one request runs the same SELECT shape many times with other binds, from one call site",
    subject="route",
    when=(
        At(
            "times one shape in a request",
            REPEATS,
            "count",
            lambda row, _: max(
                (each.executions / each.requests for each in row.repeats if each.requests), default=0.0
            ),
        ),
        f"{MIN_REQUESTS_REPEATING} requests and more that did so",
        f"{OTHER_BINDS:.0%} of the executions and more with binds of their own",
    ),
    medium=f"{graded_by(MEDIUM_MS, 'ms')}, or {graded_by(MEDIUM_REPEATS, 'count')} times",
    high=f"{graded_by(HIGH_MS, 'ms')}, or {graded_by(HIGH_REPEATS, 'count')} times",
    never="batched inserts, executemany, the IN of a selectinload, lookups in lines of their own",
)
