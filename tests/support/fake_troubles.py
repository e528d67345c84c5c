"""What can be wrong with a made-up service."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from perftui.model.happenings import FlightRow, IncidentRow, SloVerdict
from perftui.model.measures import Coverage
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.requests import InFlight


def with_troubles(summary: Summary, troubles: Collection[str]) -> Summary:
    """Return the service with these troubles."""
    workers = list(summary.workers)
    first = workers[0].identity.id if workers else ""
    if "blocked" in troubles:
        workers[0] = replace(
            workers[0],
            state="blocked",
            blocked_ms=1900.0,
            blocked_at="app/reports.py:42 build_report",
            blocked_route="GET /reports",
            cpu_percent=98.0,
            in_flight=9,
            trends=replace(
                workers[0].trends,
                cpu_percent=(*workers[0].trends.cpu_percent[:-1], 98.0),
                in_flight=(*workers[0].trends.in_flight[:-1], 9),
            ),
        )
        open_now = sum(worker.in_flight or 0 for worker in workers)
        last = replace(summary.points[-1], in_flight=open_now)
        summary = replace(
            summary,
            totals=replace(summary.totals, in_flight=open_now),
            points=(*summary.points[:-1], last),
        )
        incident = Incident(
            kind="loop-blocked",
            at=int((summary.at - 8) * 1e9),
            ns=1_400_000_000,
            where="app/reports.py:42 build_report",
            route="GET /reports",
        )
        flight = InFlight(
            route="GET /reports",
            method="GET",
            path="/reports",
            age_ns=1_900_000_000,
            waiting_at="app/reports.py:42 build_report",
        )
        summary = replace(
            summary,
            incidents=(IncidentRow(first, 4121, incident),) * 3,
            in_flight=(FlightRow(first, 4121, flight),),
        )
    if "silent" in troubles:
        place = -2 if "gone" in troubles else -1
        workers[place] = replace(workers[place], state="silent", last_seen=summary.at - 4.2)
    if "gone" in troubles:
        workers[-1] = WorkerSummary(workers[-1].identity, "gone", gone_since=summary.at - 38.0)
        summary = replace(summary, coverage=Coverage(len(workers) - 1, len(workers), 0))
    if "slo" in troubles:
        reports = summary.route("GET /reports")
        error_rate = summary.totals.error_rate
        verdicts = (
            SloVerdict("p95<200ms", "all", summary.totals.latency.p95_ms, False),
            SloVerdict("errors<1%", "all", error_rate, error_rate is not None and error_rate < 0.01),
            SloVerdict("p95<800ms", "GET /reports", reports.latency.p95_ms if reports else None, False),
        )
        summary = replace(summary, slo=verdicts)
    return replace(summary, workers=tuple(workers))
