"""What clients felt, beside what perftui says and what an ASGI layer alone would have said.

An open-loop client asks a trivial route while the worker's loop is disturbed in one of six ways; all figures
are those of the same requests. Below them how late callbacks were that were due at random moments, beside
`loop_lag_p99_ms`. Wanted: within 10 % or 10 ms of what was felt, and within 10 % or 5 ms of the lag.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import tests.support.disturbed as disturbed
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import Frame
from tests.agent.watching import watching
from tests.support.open_loop import felt, quantile_ms
from tests.support.servers import Loop, running

RATE = 60
SECONDS = 12.0
QUANTILES = (0.5, 0.95, 0.99)
KINDS: tuple[tuple[Loop, str], ...] = (("asyncio", "h11"), ("uvloop", "httptools"))

CLIENTS_CPU, WORKERS_CPU = 1, 0


def main() -> None:
    """Print the tables; name disturbances to see those alone."""
    named = [kind for kind in disturbed.DISTURBANCES if kind in sys.argv]
    for loop, http in KINDS:
        print(f"\n{loop}, {http}; p50 p95 p99 in ms")
        for kind in named or disturbed.DISTURBANCES:
            one(kind, loop, http)


def one(kind: str, loop: Loop, http: str, rate: float = RATE, seconds: float = SECONDS) -> None:
    """Measure and print one disturbance."""
    app = f"{Path(disturbed.__file__)}:app"
    root = str(Path(disturbed.__file__).parents[2])
    env = {"DISTURBED": kind, "PYTHONPATH": root}
    with (
        running(app, workers=1, loop=loop, env=env, options=["--http", http, "--no-access-log"]) as service,
        watching(service) as frames,
    ):
        (pid,) = service.pids()
        service.get("/forget")
        frames.until(lambda frame: any(route.route == "GET /forget" for route in frame.routes))
        frames.seen.clear()
        with disturbed.disturbing(kind, pid, WORKERS_CPU):
            was_felt = felt(service.port, "/", rate, seconds, CLIENTS_CPU)
        (answer,) = service.get("/known")
        known = answer.json()
        frames.until(lambda frame: any(route.route == "GET /known" for route in frame.routes))
        time.sleep(0.1)
        seen = list(frames.seen)
    latency, queue, lag = sketches(seen)
    asgi, late = sorted(known["took_ns"]), sorted(max(0, ns) for ns in known["late_ns"])
    figures = [
        (quantile_ms(was_felt, q), (latency.quantile(q) or 0) / 1e6, quantile_ms(asgi, q)) for q in QUANTILES
    ]
    good = all(abs(ours - theirs) <= max(10.0, 0.1 * theirs) for theirs, ours, _ in figures)
    lag_felt, lag_said = quantile_ms(late, 0.99), (lag.quantile(0.99) or 0) / 1e6
    lag_good = abs(lag_said - lag_felt) <= max(5.0, 0.1 * lag_felt)
    columns = list(zip(*figures, strict=True))
    print(
        f"  {kind:12} felt {_row(columns[0])}  perftui {_row(columns[1])} {'✓' if good else '✗'}"
        f"  an ASGI layer {_row(columns[2])}"
        f"   lag p99 {lag_felt:6.1f}, perftui {lag_said:6.1f} {'✓' if lag_good else '✗'}"
        f"   ({len(was_felt)} requests, {latency.count} counted, {queue.count} queued)"
    )


def sketches(frames: list[Frame]) -> tuple[LatencySketch, LatencySketch, LatencySketch]:
    """Return latency and queue of the route that was asked, and the loop's lag."""
    routes = [route for frame in frames for route in frame.routes if route.route == "GET /"]
    return (
        LatencySketch.merged(route.latency for route in routes),
        LatencySketch.merged(route.queue for route in routes),
        LatencySketch.merged(frame.loop.lag for frame in frames if frame.loop),
    )


def _row(figures: tuple[float, ...]) -> str:
    return " ".join(f"{figure:6.1f}" for figure in figures)


if __name__ == "__main__":
    main()
