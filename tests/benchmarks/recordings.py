"""What a recording takes: megabytes an hour, CPU while it is written, and the time until a minute is shown.

An hour is told from two minutes in which every frame is another. A day is two minutes of frames behind as
many blocks as a day has: what lies between is found by the index, or by going from header to header.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from perftui.model.events import SourceEvent
from perftui.model.summarize import summarize
from perftui.recording.blocks import Kind, block, header_of
from perftui.recording.entries import moment_of
from perftui.recording.links import LINK_S, Link
from perftui.recording.looking import dashboard_at, rough_dashboard
from perftui.recording.packing import BLOCK_S
from perftui.recording.places import Place
from perftui.recording.reader import Recording
from perftui.recording.writer import RecordingWriter
from perftui_agent.wire.codec import encode_part
from perftui_agent.wire.outside import StatementFrame
from perftui_agent.wire.requests import RouteFrame
from tests.support.frames import T, frame, joined, received, route, sketch, worker

WORKERS, ROUTES, SECONDS = 4, 60, 120

RATES = (1, 5)
"""Requests of each route on each worker in each second, on average."""

BUDGET_MB, BUDGET_MS = 30.0, 200.0

DAY_S = 24 * 3600

MOMENTS_S = (60.0, 73.0, 85.0, 97.0, 119.0)
"""A minute before each is opened: the first there is, and others that begin between tens of seconds."""


def traffic(requests: int) -> Iterator[SourceEvent]:
    """Yield seconds that are all different."""
    rng = random.Random(5)
    identities = [worker(pid=1000 + number) for number in range(WORKERS)]
    for identity in identities:
        yield joined(identity, T)
    for second in range(1, SECONDS + 1):
        for number, identity in enumerate(identities):
            made = frame(second, T + second + 0.01 * number, list(_routes(rng, requests)), in_flight=2)
            made.statements = list(_statements(rng, requests))
            yield received(identity, made)


def _routes(rng: random.Random, requests: int) -> Iterator[RouteFrame]:
    for place in range(ROUTES):
        count = rng.randint(0, 2 * requests)
        if count:
            values = [rng.lognormvariate(2.0 + place % 3, 0.6) for _ in range(count)]
            made = route(f"GET /r{place}/{{item_id}}", values)
            made.body_bytes = sketch([rng.lognormvariate(1.0, 0.3) for _ in values])
            made.sql_count, made.sql_ns = count, count * rng.randint(900_000, 1_500_000)
            yield made


def _statements(rng: random.Random, requests: int) -> Iterator[StatementFrame]:
    for place in range(ROUTES // 2):
        yield StatementFrame(
            fingerprint=f"f{place}",
            statement=f"SELECT * FROM t{place} WHERE id = ?",
            latency=sketch([rng.lognormvariate(0.5, 0.6) for _ in range(requests)]),
            routes={f"GET /r{place}/{{item_id}}": requests},
            call_site=f"app/crud.py:{place} get",
        )


def written(path: Path, requests: int) -> tuple[float, float]:
    """Write a recording; return its megabytes an hour, and the CPU it took in percent of a core."""
    events = list(traffic(requests))
    writer = RecordingWriter(path, "localhost:8000", T)
    began = time.process_time()
    for event in events:
        if writer.flush_due(moment_of(event)) and writer._packing is not None:
            writer._packing.result()
        writer.add(event)
    writer.close(T + SECONDS)
    cpu_s = time.process_time() - began
    return writer.size / 1e6 * 3600 / SECONDS, 100 * cpu_s / SECONDS


def made_a_day(path: Path, day: Path, *, ended: bool) -> None:
    """Put as many blocks before a recording as a day has."""
    data = path.read_bytes()
    if not ended:
        data = data[: -len(data) // 200]  # the index, and a little more
    day.write_bytes(_day_before() + data)


def _day_before() -> bytes:
    """Return as many blocks as a day has, with the links that tell of them meanwhile."""
    made: list[bytes] = []
    since: list[Place] = []
    size = before = 0
    kinds: tuple[Kind, ...] = ("S", "C")
    for second in range(0, DAY_S - 60, BLOCK_S):
        begin_ns, number = (T - DAY_S + second) * 10**9, 10**6 + second
        end_ns = begin_ns + BLOCK_S * 10**9
        for kind in kinds:
            each = block(kind, b"\x90", first_ns=begin_ns, last_ns=end_ns, first=number, last=number)
            since.append(Place(size, header_of(each)))
            made.append(each)
            size += len(each)
        if second % LINK_S == 0:
            made.append(block("I", encode_part(Link(before, size, since)), first=number))
            before, since = size, [Place(size, header_of(made[-1]))]
            size += len(made[-1])
    return b"".join(made)


def took_ms(work: object, times: int = 5) -> float:
    """Return the median of what a call takes, in ms of CPU."""
    assert callable(work)
    measured = []
    for _ in range(times):
        began = time.process_time_ns()
        work()
        measured.append((time.process_time_ns() - began) / 1e6)
    return statistics.median(measured)


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as directory:
        print(f"{WORKERS} workers × {ROUTES} routes (budget: {BUDGET_MB:g} MB an hour)")
        for rate in RATES:
            path = Path(directory) / f"{rate}.perftui"
            megabytes, percent = written(path, rate)
            told = f"{megabytes:6.1f} MB an hour, {percent:4.1f} % of a core"
            print(f"  {rate * WORKERS * ROUTES:>5} requests/s  {told}")
        day = Path(directory) / "day.perftui"
        made_a_day(path, day, ended=False)

        def opened() -> None:
            with Recording.open(day) as recording:
                summarize(*rough_dashboard(recording, T + 97.0, 60.0), 60.0)

        def walked() -> None:
            Recording.open(day).close()

        def whole() -> None:
            with Recording.open(day) as recording:
                summarize(dashboard_at(recording, T + 110.0), T + 110.0, 60.0)

        print(f"a minute of a day (budget: {BUDGET_MS:g} ms), in ms of CPU, median of the slowest minute")
        print(f"  finding its blocks, without its index        {took_ms(walked):7.1f}")
        for rate in RATES:
            with Recording.open(Path(directory) / f"{rate}.perftui") as recording:

                def shown(at: float, recording: Recording = recording) -> None:
                    recording._unpacked.clear()
                    summarize(*rough_dashboard(recording, at, 60.0), 60.0)

                slowest = max(took_ms(partial(shown, T + moment)) for moment in MOMENTS_S)
                asked = f"{rate * WORKERS * ROUTES} requests/s"
                print(f"  the first picture of a minute, {asked:<15} {slowest:7.1f}")
        print(f"  both together                                {took_ms(opened):7.1f}")
        print(f"  every second of it, in the background        {took_ms(whole, 3):7.1f}")


if __name__ == "__main__":
    main()
