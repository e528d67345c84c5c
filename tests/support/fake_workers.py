"""The workers of a made-up service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from perftui.model.measures import Latency, Queued, Totals
from perftui.model.worker_summary import WorkerSummary, WorkerTrends
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.process import Listener, ThreadpoolStats
from tests.support.fake_figures import NOON, around, wave_at


def identity_of(number: int) -> WorkerIdentity:
    """Return who a worker is."""
    return WorkerIdentity(
        host="web-1",
        pid=4121 + number,
        started_at=NOON - 86_400.0,
        service="shop",
        supervisor_pid=4120,
        python="3.12.4",
        agent="0.1.0",
        server="uvicorn 0.54.0",
        frameworks={"fastapi": "0.165.0"},
    )


def worker_of(
    number: int, now: float, moments: Sequence[float], totals: Totals, *, workers: int
) -> WorkerSummary:
    """Return a worker at a moment: one of so many that share these totals."""
    wave, quiet = wave_at(now, number), not totals.requests
    waves = [0.9 + 0.2 * wave_at(now, each) for each in range(workers)]
    share = waves[number] / sum(waves)
    rps, latency = (totals.rps or 0.0) * share, _of_a_worker(workers, number, totals.latency)
    return WorkerSummary(
        identity=identity_of(number),
        state="ok",
        requests=int(totals.requests * share),
        rps=rps,
        latency=latency,
        queued=Queued() if quiet else Queued(200, 2.0 + wave, 0.8),
        listeners=(Listener(address="127.0.0.1:8000", waiting=0, limit=2048),),
        cpu_percent=38 + 6 * wave,
        rss_bytes=int(183e6 + 2e6 * wave),
        threads=7,
        open_files=31,
        uptime_s=86_400.0 + (now - NOON),
        in_flight=0 if quiet else int(2 + 3 * wave),
        loop_lag_p99_ms=1.5 + 2 * wave,
        gc_pause_p99_ms=3.1,
        threadpool=ThreadpoolStats(used=int(4 * wave), total=40, waiting=0),
        agent_cpu_percent=0.3,
        agent_rss_bytes=4_100_000,
        probes={"http": "on", "event_loop": "on", "queue": "on", "redis": "off: not imported"},
        last_seen=now - 0.4,
        trend=(None,) * len(moments) if quiet else tuple(around(latency.p95_ms, moments, number)),
        memory=tuple((at, int(180e6 + 4e6 * wave_at(at, number))) for at in moments),
        trends=WorkerTrends(
            cpu_percent=tuple(38 + 6 * wave_at(at, number) for at in moments),
            lag_ms=tuple(1.5 + 2 * wave_at(at, number) for at in moments),
            gc_ms=tuple(3.1 if int(at) % 7 == number else None for at in moments),
            rps=(None,) * len(moments) if quiet else tuple(around(rps, moments, number)),
            in_flight=tuple(0 if quiet else int(2 + 3 * wave_at(at, number)) for at in moments),
            threads=tuple(int(4 * wave_at(at, number)) for at in moments),
        ),
    )


def _of_a_worker(workers: int, number: int, latency: Latency) -> Latency:
    """Return latencies a little better or worse than everybody's, which lie between those of the workers."""
    if not latency.count or workers < 2:
        return latency
    factor = 1 + 0.02 * (number + 2) * (-1) ** number
    scaled = {name: getattr(latency, name) * factor for name in ("p50_ms", "p95_ms", "p99_ms")}
    return replace(latency, count=latency.count // workers, **scaled)
