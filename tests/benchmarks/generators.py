"""What sends for `perftui ramp` beside other generators: `locust` with its fast client, and `wrk`.

`python -m tests.benchmarks generators`. All send to the same bare server, which has a core to itself, from
the other core: the highest rate that each can offer, and the p99 that each tells of ten seconds of which the
server stands still for one. Whoever arrives at a rate meets that second as one in ten; a loop that waits for
an answer before it asks again sends nothing meanwhile, and so has one slow request a connection.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from perftui.ramp.load import Load
from perftui.ramp.plan import Request
from perftui.ramp.sender import Order, Setup
from perftui.ramp.trust import BUSY, SENT
from tests.support.servers import free_port

SERVER_CORE, SENDER_CORE = 0, 1

AT_BEST_S = 4
STALL_RPS, STALL_RUN_S, STALL_S = 200, 10, 1

CLIMB = 1.15
MISSED = 3
"""Steps in a row that are the generator's fault, and no accident: the one before is the most it can offer."""

LATE_MS = 20.0
"""Of one request in twenty: what is sent later than that is no rate any more."""

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
    print(f"{'generator':12} {'highest rate':>12} {'ours is':>8} {'p99 with the stall':>19}")
    with _served() as (port, stall):
        ours = asyncio.run(_ours_at_best(port)), asyncio.run(_ours_stalled(port, stall))
        _tell("perftui ramp", *ours, ours[0])
        if shutil.which("wrk"):
            best = _wrk(port, AT_BEST_S, 32)[0]
            _tell("wrk", best, _stalled(stall, lambda: _wrk(port, STALL_RUN_S, 10)[1]), ours[0])
        else:
            print("wrk: is not installed (apt-get install wrk)")
        try:
            best = _locust(port, AT_BEST_S, 50, None)[0]
            p99_ms = _stalled(stall, lambda: _locust(port, STALL_RUN_S, 10, STALL_RPS / 10)[1], after_s=7.0)
        except FileNotFoundError:
            print("locust: is not installed (uv sync --group locust)")
        else:
            _tell("locust", best, p99_ms, ours[0])


def _tell(name: str, best: float, p99_ms: float, ours: float) -> None:
    print(f"{name:12} {best:10.0f}/s {ours / best:7.2f}× {p99_ms:16.1f} ms", flush=True)


async def _ours_at_best(port: int) -> float:
    """Climb until what was sent was late, or not sent, by the sender's own fault."""
    best, rate, missed = 0.0, 500.0, 0
    async with Load(_setup(port)) as load:
        while missed < MISSED and rate < 100_000:
            told = await load.step(Order(rate, 2.0, 0.5), lambda _: False)
            late_ms = (told.late.quantile(0.95) or 0.0) / 1e6
            if told.sent < SENT * told.rate * told.seconds or told.busiest > BUSY or late_ms > LATE_MS:
                missed += 1
            else:
                best, missed = told.sent / 2.0, 0
            rate *= CLIMB
    return best


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
        locust = Path(sys.executable).parent / "locust"
        command = [
            str(locust), "-f", str(file), "--headless", "-u", str(users), "-r", str(users),
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
