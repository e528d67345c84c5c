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
from perftui.record import Record

KIND = "client-per-request"

MIN_CLIENTS = 5
"""A client that all share is new once in each worker; a few more come with a deploy."""

SHARE = Bar(0.5, 0.3)
"""Of the requests that call: a client each."""

MEDIUM_MS = Bar(20.0, 15.0)
"""For connecting, by request."""
HIGH_MS = Bar(200.0, 150.0)


class _Made(Record, frozen=True):
    """Clients that requests of one route have made at one place, to call one upstream."""

    row: UpstreamSummary
    subject: str
    call_site: str | None
    route: str | None
    requests: int
    """Requests of that route that called, …"""
    clients: int
    """… and the clients they made."""
    connect_ms: float
    tls_ms: float


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each call site, or host where that is not known, from which requests call with new clients.

    By route: that the others of a busy host share a client is no excuse."""
    worst: dict[str, _Made] = {}
    clients: dict[str, int] = {}
    for host, rows in by_host(summary):
        for row in rows:
            for made in _all_made(host, row, summary):
                if SHARE.reached(made.clients / made.requests, made.subject in standing):
                    clients[made.subject] = clients.get(made.subject, 0) + made.clients
                    before = worst.get(made.subject)
                    if before is None or made.clients > before.clients:
                        worst[made.subject] = made
    for subject, made in worst.items():
        if clients[subject] >= max(MIN_CLIENTS, len(summary.workers) + 1):
            yield _finding(summary, made, standing.get(subject))


def _all_made(host: str, row: UpstreamSummary, summary: Summary) -> Iterator[_Made]:
    if not row.made and row.clients and row.requests:
        # An agent that does not tell whose they are.
        yield _Made(
            row=row,
            subject=row.call_site or host,
            call_site=row.call_site,
            route=None,
            requests=row.requests,
            clients=row.clients,
            connect_ms=row.connect_ms,
            tls_ms=row.tls_ms,
        )
    for each in row.made:
        calls, route = row.routes.get(each.route, each.clients), summary.route(each.route)
        requests = min(calls, route.requests) if route is not None and route.requests else calls
        yield _Made(
            row=row,
            subject=each.call_site or host,
            call_site=each.call_site or None,
            route=each.route,
            requests=max(requests, 1),
            clients=each.clients,
            connect_ms=each.connect_ns / 1e6,
            tls_ms=each.tls_ns / 1e6,
        )


def _finding(summary: Summary, made: _Made, was: Severity | None) -> Finding:
    row, requests = made.row, made.requests
    connect_ms = made.connect_ms / requests
    others = routes_of([row], summary) if made.route is None else ()
    known = made.route is not None and summary.route(made.route) is not None
    routes = (made.route,) if made.route is not None and known else others
    of_route = f" of {made.route}" if made.route else ""
    return Finding(
        kind=KIND,
        severity=graded(connect_ms, MEDIUM_MS, HIGH_MS, was),
        subject=quoted(made.subject, MAX_SUBJECT),
        sentence=f"{percent(min(made.clients / requests, 1.0))} of {plural(requests, 'request')}{of_route} "
        f"made a client of their own to call {row.host}: {ms(connect_ms)} per request to connect",
        evidence={
            "host": row.host,
            "library": row.library,
            "requests": requests,
            "clients": made.clients,
            "calls": row.count,
            "opened": row.opened,
            "reused": row.reused,
            "connect_ms_per_request": round(connect_ms, 3),
            "tls_ms_per_request": round(made.tls_ms / requests, 3),
            "routes": list(routes[:5]),
            "call_site": made.call_site,
        },
        advice="Make one client as the app starts (in its lifespan), share it, and close it as the app ends: "
        "connections and TLS sessions are then kept, and no certificates are read for each request.",
        impact=made.connect_ms / max(summary.window_s, 1.0),
        key=made.subject,
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
        At("of the requests of a route that call", SHARE, "share"),
    ),
    medium=f"{graded_by(MEDIUM_MS, 'ms')} of connecting for each request",
    high=f"{graded_by(HIGH_MS, 'ms')} of connecting for each request",
)
