"""The dashboard at one moment over one window, as everything beyond the model sees it.

Pure: the moment is handed in. A cursor in the past gives the picture as it was then, from history.
"""

from __future__ import annotations

import math

from perftui.model.axis import axis_of
from perftui.model.background import background_rows
from perftui.model.channels import channel_rows
from perftui.model.dashboard import Dashboard
from perftui.model.database import from_frames
from perftui.model.evidence import evidence_at, silences
from perftui.model.happenings import FlightRow
from perftui.model.history import sum_of
from perftui.model.machine import machines_of
from perftui.model.measures import Coverage, Totals
from perftui.model.quantiles import latency_of
from perftui.model.resources import cache_rows, pool_rows, query_rows
from perftui.model.routes import route_rows
from perftui.model.shares import shares_of
from perftui.model.slo import judge
from perftui.model.steps import Steps, finished
from perftui.model.summary import Summary
from perftui.model.tally import Second, Tally
from perftui.model.timeline import events_until
from perftui.model.upstreams import PROBES, upstream_rows
from perftui.model.waiting import queued_of
from perftui.model.worker_summary import WorkerSummary
from perftui.model.workers import SILENT_AFTER_S, worker_rows
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.parts import WorkerId

MAX_IN_FLIGHT_ROWS = 200


def summarize(
    dashboard: Dashboard, now: float, window_s: float = 60.0, cursor: float | None = None
) -> Summary:
    """Return the picture of the `window_s` seconds that end at `cursor`, else at `now`."""
    return finished(summary_steps(dashboard, now, window_s, cursor))


def summary_steps(
    dashboard: Dashboard, now: float, window_s: float = 60.0, cursor: float | None = None
) -> Steps[Summary]:
    """Return what `summarize` does, in steps."""
    live = cursor is None
    at = now if cursor is None else cursor
    first, last = _bins(dashboard, at, window_s, live)
    tally = yield from sum_of(dashboard.history.cover(first, last))
    axis = yield from axis_of(dashboard.history, first, last)
    workers = worker_rows(dashboard, tally, axis, at, window_s, live=live)
    last_frames = _last_frames(dashboard, tally, workers, live)
    recents = [(worker, track.recent) for worker, track in dashboard.workers.items()]
    yield
    routes = yield from route_rows(tally, axis, lambda route: shares_of(recents, route, first, last))
    totals = _totals(tally, last_frames)
    frames = last_frames.values()
    evidence = evidence_at(dashboard.evidence, at)
    incidents = (*tally.incidents, *silences((each for each in evidence if each.until >= at - window_s), at))
    return Summary(
        target=dashboard.target,
        service=_service(workers),
        at=at,
        window_s=tally.covered_s,
        link=dashboard.link,
        stale_s=_stale_s(dashboard, now),
        coverage=_coverage(dashboard, workers),
        totals=totals,
        points=axis.points,
        routes=routes,
        workers=workers,
        queries=query_rows(tally.statements),
        transactions=query_rows(tally.transactions),
        pools=pool_rows(tally, frames),
        caches=cache_rows(tally, frames),
        upstreams=upstream_rows(tally.upstreams, frames),
        channels=channel_rows(tally.channels, frames, tally.covered_s),
        background=background_rows(tally.background, frames),
        databases=from_frames(last_frames, {row.identity.id: row.pid for row in workers}),
        machines=machines_of(
            (row.identity.host, row.pid, row.last_seen, row.contention)
            for row in workers
            if row.state != "gone"
        ),
        in_flight=_in_flight(last_frames, workers),
        slowest=tally.slowest,
        incidents=incidents,
        evidence=evidence,
        plans=tally.plans,
        slo=judge(dashboard.slo, totals, routes),
        events=events_until(dashboard, at),
    )


def _bins(dashboard: Dashboard, at: float, window_s: float, live: bool) -> tuple[Second, Second]:
    """Return the first and the last bin of the window; the one that is only just due is not awaited."""
    newest = dashboard.history.newest
    # A live window ends with the newest frame: the next one is only just due, not missing. When nobody is
    # heard at all it goes on ending there: what was seen last is not to run out of sight.
    stands = abs(at - newest) <= SILENT_AFTER_S or dashboard.link in {"stale", "lost"}
    last = newest if live and newest and stands else math.floor(at)
    return last - max(1, math.ceil(window_s)) + 1, last


def _last_frames(
    dashboard: Dashboard, tally: Tally, workers: tuple[WorkerSummary, ...], live: bool
) -> dict[WorkerId, Frame]:
    """Return the last frame of each worker that isn't gone."""
    found: dict[WorkerId, Frame] = {}
    for row in workers:
        worker = row.identity.id
        counted = tally.workers.get(worker)
        frame = dashboard.workers[worker].last_frame if live else counted.last if counted else None
        if row.state != "gone" and frame is not None:
            found[worker] = frame
    return found


def _totals(tally: Tally, last_frames: dict[WorkerId, Frame]) -> Totals:
    requests, errors, covered_s = tally.requests, tally.errors, tally.covered_s
    frames = last_frames.values()
    counted = [part.counts() for part in tally.routes.values()]
    transaction_ms = sum([counts.transaction_ns for counts in counted]) / 1e6
    calls = sum([counts.http_count for counts in counted])
    http_ms = sum([counts.http_ns for counts in counted]) / 1e6
    calls_seen = calls or any(frame.probes.get(probe) == "on" for frame in frames for probe in PROBES)
    sql_seen = any(frame.probes.get("sqlalchemy") == "on" for frame in frames)
    return Totals(
        requests=requests,
        rps=requests / covered_s if covered_s else None,
        errors=errors,
        error_rate=errors / requests if requests else None,
        latency=latency_of(tally.latency),
        queued=queued_of(tally.queue, tally.queue_known),
        in_flight=sum(frame.in_flight for frame in frames),
        open_websockets=sum(frame.open_websockets for frame in frames),
        open_streams=sum(frame.open_streams for frame in frames),
        transaction_ms_per_request=(
            transaction_ms / requests if requests and (sql_seen or transaction_ms) else None
        ),
        http_per_request=calls / requests if requests and calls_seen else None,
        http_ms_per_request=http_ms / requests if requests and calls_seen else None,
    )


def _coverage(dashboard: Dashboard, workers: tuple[WorkerSummary, ...]) -> Coverage:
    return Coverage(
        workers_seen=sum(row.state in {"ok", "blocked"} and row.last_seen is not None for row in workers),
        workers_known=sum(row.state != "gone" for row in workers),
        frames_dropped=sum(dashboard.workers[row.identity.id].received.dropped for row in workers),
    )


def _in_flight(
    last_frames: dict[WorkerId, Frame], workers: tuple[WorkerSummary, ...]
) -> tuple[FlightRow, ...]:
    rows = [
        FlightRow(row.identity.id, row.pid, request)
        for row in workers
        if row.identity.id in last_frames
        for request in last_frames[row.identity.id].in_flight_rows
    ]
    rows.sort(key=lambda row: -row.request.age_ns)
    return tuple(rows[:MAX_IN_FLIGHT_ROWS])


def _service(workers: tuple[WorkerSummary, ...]) -> str | None:
    names = dict.fromkeys(row.identity.service for row in workers)
    return ", ".join(names) or None


def _stale_s(dashboard: Dashboard, now: float) -> float | None:
    heard_at = [track.last_heard_at for track in dashboard.workers.values()]
    # Who has said hello and told of the past has been heard, if no frame has come from then on.
    known = [each for each in (dashboard.last_heard_at, *heard_at) if each is not None]
    if not known or dashboard.link not in {"stale", "lost"}:
        return None
    return max(0.0, now - max(known))
