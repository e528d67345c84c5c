"""`client-per-request`: each request makes an HTTP client of its own, and so connects anew each time."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, percent, plural
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.findings.upstreams import by_host, routes_of
from perftui.model.happenings import Finding, Severity
from perftui.model.outside_summary import UpstreamSummary
from perftui.model.summary import Summary

KIND = "client-per-request"

MIN_CLIENTS = 5
"""A client that all share is new once in each worker; a few more come with a deploy."""

SHARE = Bar(0.5, 0.3)
"""Of the requests that call: a client each."""

MEDIUM_MS = Bar(20.0, 15.0)
"""For connecting, by request."""
HIGH_MS = Bar(200.0, 150.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each call site, or host where that is not known, from which requests call with new clients."""
    seen: set[str] = set()
    for host, rows in by_host(summary):
        for row in rows:
            subject = row.call_site or host
            if (
                subject not in seen
                and row.requests
                and row.clients >= max(MIN_CLIENTS, len(summary.workers) + 1)
                and SHARE.reached(row.clients / row.requests, subject in standing)
            ):
                seen.add(subject)
                yield _finding(summary, row, subject, standing.get(subject))


def _finding(summary: Summary, row: UpstreamSummary, subject: str, was: Severity | None) -> Finding:
    connect_ms = row.connect_ms / row.requests
    routes = routes_of([row], summary)
    return Finding(
        kind=KIND,
        severity=graded(connect_ms, MEDIUM_MS, HIGH_MS, was),
        subject=quoted(subject, MAX_SUBJECT),
        sentence=f"{percent(min(row.clients / row.requests, 1.0))} of {plural(row.requests, 'request')} made "
        f"a client of their own to call {row.host}: {plural(row.opened, 'connection')} opened, "
        f"{row.reused:,} reused, {ms(connect_ms)} per request to connect",
        evidence={
            "host": row.host,
            "library": row.library,
            "requests": row.requests,
            "clients": row.clients,
            "calls": row.count,
            "opened": row.opened,
            "reused": row.reused,
            "connect_ms_per_request": round(connect_ms, 3),
            "tls_ms_per_request": round(row.tls_ms / row.requests, 3),
            "routes": list(routes[:5]),
            "call_site": row.call_site,
        },
        advice="Make one client as the app starts (in its lifespan), share it, and close it as the app ends: "
        "connections and TLS sessions are then kept, and no certificates are read for each request.",
        impact=row.connect_ms / max(summary.window_s, 1.0),
        key=subject,
        route=routes[0] if routes else None,
        routes=routes,
        upstream=row.key,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="each request makes an HTTP client of its own, and so connects anew each time",
    subject="call site, or host",
    when=(
        f"{MIN_CLIENTS} clients made within requests and more, and more than there are workers",
        At("of the requests that call", SHARE, "share"),
    ),
    medium=f"{graded_by(MEDIUM_MS, 'ms')} of connecting for each request",
    high=f"{graded_by(HIGH_MS, 'ms')} of connecting for each request",
)
