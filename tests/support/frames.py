"""Made-up workers and what they would send: `frame(1, at=T, routes=[route("GET /", [5, 7])])`.

Times are seconds, latencies milliseconds; T is a round moment to count from.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from perftui.model.dashboard import Dashboard
from perftui.model.events import FrameReceived, SourceEvent, WorkerGone, WorkerJoined
from perftui.model.merge import merge
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import WIRE_VERSION, Frame, Hello
from perftui_agent.wire.identity import SloTarget, WorkerIdentity
from perftui_agent.wire.process import AgentStats, LoopStats, ProcessStats
from perftui_agent.wire.requests import RouteFrame, StatusCounts

T = 1_700_000_040
"""A whole minute."""


def worker(pid: int = 101, started_at: float = T - 3600.0, supervisor_pid: int = 100) -> WorkerIdentity:
    """Return who a worker of the shop is."""
    return WorkerIdentity(
        host="box",
        pid=pid,
        started_at=started_at,
        service="shop",
        supervisor_pid=supervisor_pid,
        python="3.12.1",
        agent="0.1.0",
        server="uvicorn 0.54.0",
        frameworks={"fastapi": "0.165.0"},
    )


def hello(
    identity: WorkerIdentity | None = None, slo: Iterable[SloTarget] = (), wire: int = WIRE_VERSION
) -> Hello:
    """Return a worker's first message."""
    return Hello(wire=wire, worker=identity or worker(), slo=list(slo))


def sketch(values_ms: Iterable[float]) -> LatencySketch:
    """Return the sketch of these durations."""
    result = LatencySketch()
    for value in values_ms:
        result.add(round(value * 1e6))
    return result


def route(
    label: str = "GET /",
    latencies_ms: Sequence[float] = (),
    queued_ms: Sequence[float] | None = None,
    **status: int,
) -> RouteFrame:
    """Return a route whose requests all succeeded, or ended as `status` (of `StatusCounts`) says.

    With `queued_ms` the kernel was asked about all of them: those of it waited so long before the app.
    """
    counts = StatusCounts(**status) if status else StatusCounts(success=len(latencies_ms))
    return RouteFrame(
        route=label,
        status=counts,
        latency=sketch(latencies_ms),
        queue_known=0 if queued_ms is None else len(latencies_ms),
        queue=sketch(queued_ms or ()),
        ttfb=sketch(latencies_ms),
    )


def frame(
    seq: int,
    at: float,
    routes: Iterable[RouteFrame] = (),
    *,
    span_s: float = 1.0,
    in_flight: int = 0,
    blocked_ms: float = 0.0,
) -> Frame:
    """Return the frame that ended at `at`."""
    return Frame(
        seq=seq,
        ended_at=round(at * 1e9),
        span_ns=round(span_s * 1e9),
        # As those of a black box, which makes one of ten seconds.
        thinned=span_s == 10.0,
        routes=list(routes),
        in_flight=in_flight,
        process=ProcessStats(
            cpu_percent=12.5, rss_bytes=80_000_000, threads=5, open_files=20, uptime_s=3600.0
        ),
        loop=LoopStats(lag=sketch([0.1]), blocked_ns=round(blocked_ms * 1e6)),
        agent=AgentStats(cpu_percent=0.2),
        probes={"http": "on", "sqlalchemy": "off: not imported"},
    )


def joined(identity: WorkerIdentity, at: float = T, slo: Iterable[SloTarget] = ()) -> WorkerJoined:
    """Return the event of a worker saying hello."""
    return WorkerJoined(hello(identity, slo), at)


def received(identity: WorkerIdentity, sent: Frame, delay_s: float = 0.01) -> FrameReceived:
    """Return the event of a frame that came a moment after it ended."""
    return FrameReceived(identity.id, sent, sent.ended_at / 1e9 + delay_s)


def gone(identity: WorkerIdentity, at: float) -> WorkerGone:
    """Return the event of a worker's death."""
    return WorkerGone(identity.id, at)


def dashboard_of(*events: SourceEvent, target: str = "localhost:8000") -> Dashboard:
    """Return what the events make."""
    dashboard = Dashboard(target)
    for event in events:
        dashboard = merge(dashboard, event)
    return dashboard


def traffic(
    workers: int, routes: int, seconds: int, *, requests: int = 5, begin: int = T, seed: int = 7
) -> Iterator[SourceEvent]:
    """Yield the events of a busy service: `requests` to each route of each worker in each second."""
    rng = random.Random(seed)
    identities = [worker(pid=1000 + index) for index in range(workers)]
    labels = [f"GET /r{index}/{{item_id}}" for index in range(routes)]
    for identity in identities:
        yield joined(identity, begin)
    for second in range(1, seconds + 1):
        for index, identity in enumerate(identities):
            parts = [
                route(label, [rng.lognormvariate(2.0 + place % 3, 0.6) for _ in range(requests)])
                for place, label in enumerate(labels)
            ]
            yield received(identity, frame(second, begin + second + index * 0.01, parts, in_flight=2))
