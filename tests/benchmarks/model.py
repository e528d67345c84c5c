"""What the dashboard's model costs: CPU per event and per picture, memory after a quarter of an hour.

Every frame is decoded from bytes, as a source does it, so that what is kept is what would be kept. CPU is
that of this process, garbage collection of what the model makes included (what the other benchmarks have
imported is frozen).
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from perftui.model.events import FrameReceived
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.frames import Frame, RouteFrame, StatementFrame, StatusCounts
from tests.support.frames import T, dashboard_of, frame, joined, worker

SHAPES = ((4, 60, 900), (16, 200, 900))
"""Workers, routes, seconds."""

REQUESTS = 5
"""Of each route on each worker in each second."""

VARIANTS = 40
"""Seconds that differ; they take turns."""

SHOWN_ROUTES = 40
BUDGET_PERCENT = {4: 5.0, 16: 15.0}
"""Percent of a core for the whole TUI."""


@dataclass(slots=True)
class Timings:
    """CPU of one kind of step, in ms."""

    name: str
    took_ms: list[float] = field(default_factory=list)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Time one step."""
        began_ns = time.process_time_ns()
        yield
        self.took_ms.append((time.process_time_ns() - began_ns) / 1e6)

    def row(self) -> str:
        """Return the line of the table."""
        ordered = sorted(self.took_ms)
        p99 = ordered[int(0.99 * (len(ordered) - 1))]
        return (
            f"  {self.name:<34} {statistics.median(ordered):>9.2f} {p99:>9.2f} {ordered[-1]:>9.2f}"
            f"   {sum(ordered):>9.0f}"
        )


def encoded_frames(routes: int, seed: int = 7) -> list[bytes]:
    """Return seconds of a busy worker as they travel."""
    rng = random.Random(seed)
    made = []
    for _ in range(VARIANTS):
        parts = [_route(rng, place) for place in range(routes)]
        sent = frame(1, T, parts, in_flight=2)
        sent.statements = [_statement(rng, place) for place in range(routes // 2)]
        made.append(encode(sent))
    return made


def _route(rng: random.Random, place: int) -> RouteFrame:
    sketch, ttfb, body = LatencySketch(), LatencySketch(), LatencySketch()
    for _ in range(REQUESTS):
        ns = round(rng.lognormvariate(2.0 + place % 3, 0.6) * 1e6)
        sketch.add(ns)
        ttfb.add(ns * 9 // 10)
        body.add(round(rng.lognormvariate(7.0, 0.3)))
    return RouteFrame(
        route=f"GET /r{place}/{{item_id}}",
        status=StatusCounts(success=REQUESTS),
        latency=sketch,
        ttfb=ttfb,
        body_bytes=body,
        sql_count=REQUESTS,
        sql_ns=REQUESTS * 1_000_000,
    )


def _statement(rng: random.Random, place: int) -> StatementFrame:
    latency = LatencySketch()
    for _ in range(REQUESTS):
        latency.add(round(rng.lognormvariate(0.5, 0.6) * 1e6))
    return StatementFrame(
        fingerprint=f"f{place}",
        statement=f"SELECT * FROM t{place} WHERE id = ?",
        latency=latency,
        routes={f"GET /r{place}/{{item_id}}": REQUESTS},
        call_site=f"app/crud.py:{place} get",
    )


def _look_at(summary: Summary) -> None:
    """Look at what a screen looks at: the trends of the routes that fit, and one route's shares."""
    for row in summary.routes[:SHOWN_ROUTES]:
        list(row.trend)
    for each in summary.workers:
        list(each.trend)
    list(summary.routes[0].shares)


def measure(workers: int, routes: int, seconds: int) -> None:
    """Feed `seconds` of a service to the model and print what it took."""
    process = psutil.Process()
    gc.collect()
    gc.freeze()
    sent = encoded_frames(routes)
    identities = [worker(pid=1000 + number) for number in range(workers)]
    dashboard = dashboard_of(*(joined(identity, T) for identity in identities))
    rss_before = process.memory_info().rss
    decoding, merging = Timings("decode, per frame"), Timings("merge, per frame")
    picture = Timings("summarize, 1 m")
    began = time.process_time()
    for second in range(1, seconds + 1):
        for number, identity in enumerate(identities):
            with decoding.timed():
                got = decode_from_agent(sent[(second * 7 + number * 3) % VARIANTS])
            assert isinstance(got, Frame)
            got.seq, got.ended_at = second, (T + second) * 1_000_000_000 + 3_000_000
            with merging.timed():
                dashboard = merge(dashboard, FrameReceived(identity.id, got, T + second + 0.005 * number))
        with picture.timed():
            _look_at(summarize(dashboard, T + second + 0.2))
    percent = 100 * (time.process_time() - began) / seconds
    rss = process.memory_info().rss - rss_before
    now = T + seconds + 0.2
    windows, cursors = Timings("another window"), Timings("a step back in time")
    for window_s in (10, 300, 900, 60):
        with windows.timed():
            _look_at(summarize(dashboard, now, window_s))
    for back_s in range(5, seconds - 60, 37):
        with cursors.timed():
            _look_at(summarize(dashboard, now, 60, cursor=now - back_s))
    print(f"\n{workers} workers × {routes} routes, {seconds} s, {REQUESTS} requests/s each  (CPU in ms)")
    print(f"  {'':<34} {'median':>9} {'p99':>9} {'worst':>9}   {'all':>9}")
    for timings in (decoding, merging, picture, windows, cursors):
        print(timings.row())
    print(
        f"  {percent:.1f} % of a core at 1 Hz (the whole TUI may take {BUDGET_PERCENT.get(workers, 15.0)} %)"
    )
    print(f"  {rss / 1e6:.0f} MB more than before the first frame")


def main() -> None:
    """Measure each shape."""
    for shape in SHAPES:
        measure(*shape)
