"""Steps and limits of a ramp as data that screens, recordings and reports know."""

from __future__ import annotations

from perftui.model.ramp import RampLimit, RampStep
from perftui.model.summary import Summary
from perftui.ramp.limit import Limit
from perftui.ramp.resources import parts_of, saturation
from perftui.ramp.run import Looked


def step_of(looked: Looked) -> RampStep:
    """Return a step that is over."""
    seen = looked.step.seen
    return RampStep(
        at=looked.summary.at,
        rate=seen.rate,
        answered=seen.rate * seen.delivered if seen.delivered is not None else None,
        sent=seen.sent,
        done=seen.done,
        errors=seen.errors,
        p50_ms=seen.p50_ms,
        p95_ms=seen.p95_ms,
        p99_ms=seen.p99_ms,
        queue_p95_ms=looked.queue_p95_ms,
        used={str(kind): share for kind, share in looked.used.items()},
        time_in=time_in(looked.summary),
        waited_for_locks=looked.locked.sessions if looked.locked is not None else None,
        turned_down=turned_down_in(looked.summary),
        why=looked.step.why,
        is_spoiled=looked.step.is_spoiled,
    )


def limit_of(limit: Limit) -> RampLimit:
    """Return what gave."""
    return RampLimit(limit.kind, limit.subject, limit.sentence, limit.advice, limit.then_rps)


def used_in(summary: Summary) -> dict[str, float]:
    """Return how full each resource is."""
    return {str(kind): share for kind, share in saturation(summary).items()}


def turned_down_in(summary: Summary) -> float | None:
    """Return which part of the answers was a 4xx."""
    answers = sum(row.requests for row in summary.routes)
    return sum(row.status.get("4xx", 0) for row in summary.routes) / answers if answers else None


def time_in(summary: Summary) -> dict[str, float]:
    """Return which part of a request's time goes to databases and to other services, where any does."""
    parts = parts_of(summary)
    whole = sum((parts.queued, parts.loop, parts.threadpool, parts.pool, parts.sql, parts.http, parts.rest))
    named = {"database": parts.sql, "upstream": parts.http - parts.http_pool}
    return {kind: min(spent / whole, 1.0) for kind, spent in named.items() if whole and spent > 0}
