"""What sends for `perftui ramp` beside other generators: `locust` with its fast client, and `wrk`.

`python -m tests.benchmarks generators`. All send to the same bare server, which has a core to itself, from
the other core: the highest rate that each can offer, and the p99 that each tells of ten seconds of which the
server stands still for one. Whoever arrives at a rate meets that second as one in ten; a loop that waits for
an answer before it asks again sends nothing meanwhile, and so has one slow request a connection. Beside the
highest rate stands how many requests a second of CPU is good for: on a machine that others use as well a
generator does not have all of its core, and the highest rate is less than it could be.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from perftui.ramp.load import Load
from perftui.ramp.plan import Request
from perftui.ramp.sender import Order, Setup
from perftui.ramp.trust import BUSY, SENT, WAITED
from tests.support.servers import free_port

SERVER_CORE, SENDER_CORE = 0, 1

AT_BEST_S = 4
STALL_RPS, STALL_RUN_S, STALL_S = 200, 10, 1

CLIMB = 1.15
MISSED = 3
"""Steps in a row that are the generator's fault, and no accident: the one before is the most it can offer."""

LATE_MS = 20.0
"""Of one request in twenty: what is sent later than that is no rate any more."""

LOCUST = Path(sys.executable).parent / "locust"

SERVER = f"""
import asyncio, signal, sys, time, uvloop
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 11\\r\\nContent-Type: text/plain\\r\\n\\r\\nhello world"

class Answers(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(ANSWER * data.count(b"\\r\\n\\r\\n"))

async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, time.sleep, {STALL_S})
    await loop.create_server(Answers, "127.0.0.1", int(sys.argv[1]), backlog=2000)
    print("ready", flush=True)
    await asyncio.sleep(3600)

uvloop.run(main())
"""

LOCUSTFILE = """
import os
from locust import FastHttpUser, constant, constant_throughput, task

class Asks(FastHttpUser):
    wait_time = constant_throughput(float(os.environ["EACH"])) if "EACH" in os.environ else constant(0)
    @task
    def x(self):
        self.client.get("/x")
"""


def main() -> None:
    """Print a line for each generator."""
    if len(os.sched_getaffinity(0)) < 2:
        print("a core for the server and one for the generator are needed")
        return
    print(f"{'generator':12} {'highest rate':>12} {'a CPU second':>13} {'ours is':>8} {'p99, a stall':>19}")
    with _served() as (port, stall):
        ours = asyncio.run(_ours_at_best(port)), asyncio.run(_ours_stalled(port, stall))
        _tell("perftui ramp", *ours, ours[0].each_cpu_s)
        if shutil.which("wrk"):
            best = _at_best(lambda: _wrk(port, AT_BEST_S, 32)[0], "wrk", "-v")
            p99_ms = _stalled(stall, lambda: _wrk(port, STALL_RUN_S, 10)[1])
            _tell("wrk", best, p99_ms, ours[0].each_cpu_s)
        else:
            print("wrk: is not installed (apt-get install wrk)")
        if LOCUST.exists():
            best = _at_best(lambda: _locust(port, AT_BEST_S, 50, None)[0], str(LOCUST), "--version")
            p99_ms = _stalled(stall, lambda: _locust(port, STALL_RUN_S, 10, STALL_RPS / 10)[1], after_s=7.0)
            _tell("locust", best, p99_ms, ours[0].each_cpu_s)
        else:
            print("locust: is not installed (uv sync --group locust)")


class AtBest(NamedTuple):
    """What a generator can offer."""

    rps: float
    each_cpu_s: float
    """Requests that a second of its CPU is good for."""
    waited: float = 0.0
    """Of the time, in which it was ready to run at the rate that was too high, and others had its core."""


def _tell(name: str, best: AtBest, p99_ms: float, ours: float) -> None:
    times = ours / best.each_cpu_s
    note = f"   (its core was others' for {best.waited:.0%} of the time)" if best.waited > WAITED else ""
    line = f"{name:12} {best.rps:10.0f}/s {best.each_cpu_s:13.0f} {times:7.2f}× {p99_ms:16.1f} ms{note}"
    print(line, flush=True)


def _at_best(run: Callable[[], float], *starts: str) -> AtBest:
    """Return the rate of a generator that is a program of its own; its start is no part of it."""
    starting_s = -_children_s()
    _pinned([*starts], {})
    starting_s += _children_s()
    cpu_s = -_children_s() - starting_s
    rate = run()
    cpu_s += _children_s()
    return AtBest(rate, rate * AT_BEST_S / cpu_s)


def _children_s() -> float:
    """Return the CPU that programs have taken which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _ours_at_best(port: int) -> AtBest:
    """Climb until what was sent was late, or not sent, by the sender's own fault."""
    best, rate, missed, waited = AtBest(0.0, 1.0), 500.0, 0, 0.0
    async with Load(_setup(port)) as load:
        while missed < MISSED and rate < 100_000:
            told = await load.step(Order(rate, 2.0, 0.5), lambda _: False)
            late_ms = (told.late.quantile(0.95) or 0.0) / 1e6
            if told.sent < SENT * told.rate * told.seconds or told.busiest > BUSY or late_ms > LATE_MS:
                missed, waited = missed + 1, max(waited, told.waited)
            else:
                rps = told.sent / told.seconds
                best, missed, waited = AtBest(rps, rps / told.busiest), 0, 0.0
            rate *= CLIMB
    return best._replace(waited=waited)


async def _ours_stalled(port: int, stall: threading.Event) -> float:
    async with Load(_setup(port)) as load:
        threading.Timer(STALL_RUN_S / 2, stall.set).start()
        told = await load.step(Order(STALL_RPS, STALL_RUN_S, 0.5), lambda _: False)
    return told.quantile_ms(0.99) or 0.0


def _setup(port: int) -> Setup:
    return Setup(f"http://127.0.0.1:{port}", [Request("GET", "/x")], cpus=[SENDER_CORE])


def _stalled(stall: threading.Event, run: Callable[[], float], after_s: float = STALL_RUN_S / 2) -> float:
    threading.Timer(after_s, stall.set).start()
    return run()


def _wrk(port: int, seconds: int, connections: int) -> tuple[float, float]:
    """Return its rate and its p99 in ms."""
    url = f"http://127.0.0.1:{port}/x"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s", url]
    told = _pinned(command, {}).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", told)
    assert rate is not None, told
    assert p99 is not None, told
    return float(rate[1]), float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]


def _locust(port: int, seconds: int, users: int, each: float | None) -> tuple[float, float]:
    """Return its rate and its p99 in ms."""
    env = {} if each is None else {"EACH": str(each)}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "locustfile.py"
        file.write_text(LOCUSTFILE)
        command = [
            str(LOCUST), "-f", str(file), "--headless", "-u", str(users), "-r", str(users),
            "-t", f"{seconds}s", "-H", f"http://127.0.0.1:{port}", "--json", "--loglevel", "ERROR",
        ]  # fmt: skip
        done = _pinned(command, env)
    try:
        (row,) = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(done.stderr) from None
    times = sorted((float(ms), count) for ms, count in row["response_times"].items())
    left = 0.01 * row["num_requests"]
    p99_ms = 0.0
    for ms, count in reversed(times):
        p99_ms, left = ms, left - count
        if left < 0:
            break
    return row["num_requests"] / (row["last_request_timestamp"] - row["start_time"]), p99_ms


def _pinned(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    pinned = ["taskset", "-c", str(SENDER_CORE), *command]
    return subprocess.run(
        pinned, env=os.environ | env, capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def _served() -> Iterator[tuple[int, threading.Event]]:
    """Run the server; an event that is set has it stand still."""
    port = free_port()
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-c", SERVER, str(port)]
    stall, over = threading.Event(), threading.Event()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:

        def stand_still() -> None:
            while not over.is_set():
                if stall.wait(0.02):
                    stall.clear()
                    server.send_signal(signal.SIGUSR1)

        assert server.stdout is not None
        server.stdout.readline()
        standing = threading.Thread(target=stand_still)
        standing.start()
        try:
            yield port, stall
        finally:
            over.set()
            standing.join()
            server.kill()
