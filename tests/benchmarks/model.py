"""What the dashboard's model costs: CPU per event and per picture, memory after a quarter of an hour.

Every frame is decoded from bytes, as a source does it, so that what is kept is what would be kept. CPU is
that of this process, garbage collection of what the model makes included (what the other benchmarks have
imported is frozen).
"""

from __future__ import annotations

import gc
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
from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.frames import Frame
from tests.support.busy import REQUESTS, VARIANTS, encoded_frames
from tests.support.frames import T, dashboard_of, joined, worker

SHAPES = ((4, 60, 900), (16, 200, 900))
"""Workers, routes, seconds."""

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
