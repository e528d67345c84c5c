"""Pictures of a service to judge: `picture(routes=[a_route("GET /orders", [210.0] * 40)])`.

Times are milliseconds, the window is a minute; everything that isn't named is healthy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perftui.findings.find import RULES
from perftui.model.happenings import Finding, IncidentRow, Severity
from perftui.model.measures import Queued, Totals
from perftui.model.outside_summary import QuerySummary
from perftui.model.quantiles import latency_of
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.model.waiting import queued_of
from perftui.model.worker_summary import WorkerState, WorkerSummary
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence, Incident
from tests.support.frames import T, sketch

WINDOW_S = 60.0


def picture(**parts: Any) -> Summary:
    """Return a picture of a minute; `routes`, `workers` and so on as in `Summary`."""
    routes: Sequence[RouteSummary] = parts.pop("routes", ())
    requests = sum(route.requests for route in routes)
    parts.setdefault("at", float(T))
    parts.setdefault("window_s", WINDOW_S)
    parts.setdefault("totals", Totals(requests, requests / parts["window_s"]))
    target = parts.pop("target", "localhost:8000")
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in parts.items()
    }
    return Summary(target, "shop", routes=tuple(routes), **given)


def found(kind: str, summary: Summary, standing: Mapping[str, Severity] | None = None) -> list[Finding]:
    """Return what the rule of one kind says of a picture."""
    return list(RULES[kind](summary, standing or {}))


def only(kind: str, summary: Summary, standing: Mapping[str, Severity] | None = None) -> Finding:
    """Return the one finding of a kind that there must be."""
    findings = found(kind, summary, standing)
    assert [finding.kind for finding in findings] == [kind]
    return findings[0]


def queued(waited_ms: Sequence[float], known: int) -> Queued:
    """Return how long requests waited before the app: those of `waited_ms`, and of `known` the others not."""
    return queued_of(sketch(waited_ms), known)


def a_route(label: str, latencies_ms: Sequence[float] = (20.0,) * 100, **more: Any) -> RouteSummary:
    """Return a route whose requests took so long and, unless told otherwise, all succeeded."""
    times = sketch(latencies_ms)
    requests = more.pop("requests", len(latencies_ms))
    errors = more.pop("errors", 0)
    return RouteSummary(
        route=label,
        requests=requests,
        rps=requests / WINDOW_S,
        errors=errors,
        error_rate=errors / requests if requests else 0.0,
        status={"2xx": requests - errors, "3xx": 0, "4xx": 0, "5xx": errors, "disconnected": 0},
        latency=latency_of(times),
        sketch=times,
        total_ms=times.total / 1e6,
        **more,
    )


def a_worker(
    pid: int = 4121,
    state: WorkerState = "ok",
    *,
    latencies_ms: Sequence[float] = (20.0,) * 200,
    age_s: float = 3600.0,
    **more: Any,
) -> WorkerSummary:
    """Return a worker that is well, and has been up for an hour."""
    values: dict[str, Any] = {
        "requests": len(latencies_ms),
        "rps": len(latencies_ms) / WINDOW_S,
        "latency": latency_of(sketch(latencies_ms)),
        "cpu_percent": 40.0,
        "cpu_mean_percent": 40.0,
        "rss_bytes": 180_000_000,
        "uptime_s": age_s,
        "in_flight": 2,
        "loop_lag_p99_ms": 2.0,
        "covered_s": WINDOW_S,
        "last_seen": T - 0.5,
    }
    return WorkerSummary(identity=identity(pid, T - age_s), state=state, **{**values, **more})


def identity(pid: int, started_at: float = T - 3600.0) -> WorkerIdentity:
    """Return who a worker of the shop is."""
    return WorkerIdentity(host="web-1", pid=pid, started_at=started_at, service="shop", supervisor_pid=4120)


def a_query(latencies_ms: Sequence[float], **more: Any) -> QuerySummary:
    """Return a SELECT of one item with these execution times."""
    times = sketch(latencies_ms)
    values: dict[str, Any] = {
        "statement": "SELECT items.name FROM items WHERE items.id = ?",
        "fingerprint": "f1",
        "count": len(latencies_ms),
        "errors": 0,
        "latency": latency_of(times),
        "total_ms": times.total / 1e6,
        "routes": ("GET /items/{item_id}",),
        "call_site": "app/crud.py:42 get_item",
    }
    return QuerySummary(**{**values, **more})


def a_block(
    ms: float,
    where: str = "app/reports.py:42 build",
    *,
    ago_s: float = 10.0,
    pid: int = 4121,
    ongoing: bool = False,
    route: str = "GET /reports",
    stack: Sequence[str] = (),
) -> IncidentRow:
    """Return a stretch in which a worker's loop was held."""
    incident = Incident(
        kind="loop-blocked",
        at=round((T - ago_s) * 1e9),
        ns=round(ms * 1e6),
        where=where,
        route=route,
        stack=list(stack) or [where],
        ongoing=ongoing,
    )
    return IncidentRow(identity(pid).id, pid, incident)


def a_silence(verdict: str, *, ago_s: float = 10.0, ongoing: bool = False) -> IncidentRow:
    """Return three seconds in which a worker gave no sign of life."""
    block = a_block(3000.0, ago_s=ago_s, ongoing=ongoing)
    incident = msgspec.structs.replace(block.incident, kind="worker-silent", verdict=verdict)
    return IncidentRow(block.worker, block.pid, incident)


def silence(verdict: str = "hung", ended_by: str = "uvicorn (pid 4120)", ns: int = 5_200_000_000) -> Evidence:
    """Return what a sibling has seen of worker 4121, which was ended half a minute ago."""
    return Evidence(
        id="4121@1",
        kind="worker-silent",
        at=round((T - 30) * 1e9) - ns,
        ns=ns,
        worker=identity(4121).id,
        verdict=verdict,
        where="app/rx.py:7 match",
        route="GET /rx",
        stack=["app/rx.py:7 match"],
        how="py-spy by sibling 4122",
        outcome="ended",
        ended_by=ended_by,
    )
