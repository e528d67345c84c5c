"""What thousands of open connections cost the agent, and whether the app's loop feels them.

A uvicorn worker with so many idle connections, held by a process of its own; the figures are the agent's
own of each second, and the lag that it measured. `python -m tests.benchmarks.connections hold PORT N` is
that process.
"""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from perftui_agent.sketch import LatencySketch
from tests.agent.watching import watching
from tests.support.servers import running, write_app

SPARE = 200
"""Descriptors that server and client need besides."""

WATCHED_S = 20

HOLDER = "tests.benchmarks.connections"

APP = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
from fastapi import FastAPI
from perftui_agent import instrument

app = instrument(FastAPI())

@app.get("/ping")
async def ping() -> str:
    return "pong"
"""


def main(numbers: tuple[int, ...] = (0, 20_000)) -> None:
    """Print the table."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in numbers:
        measure(min(number, most - SPARE))


def measure(number: int) -> None:
    """Print what the agent took over half a minute with so many connections open."""
    with tempfile.TemporaryDirectory() as directory:
        app = write_app(Path(directory), APP)
        with running(app, workers=1, options=["--timeout-keep-alive", "600", "--no-access-log"]) as service:
            command = [sys.executable, "-m", HOLDER, "hold", str(service.port), str(number)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
                assert holder.stdout is not None
                holder.stdout.readline()
                with watching(service) as frames:
                    frames.until(lambda frame: (frame.process.open_files or 0) >= number, 120.0)
                    first = len(frames.seen)
                    frames.until(lambda frame: frame.seq >= frames.seen[first - 1].seq + WATCHED_S, 120.0)
                    seen = frames.seen[first:]
                holder.kill()
    cpu = [frame.agent.cpu_percent for frame in seen]
    lag = LatencySketch()
    for frame in seen:
        if frame.loop is not None:
            lag.merge(frame.loop.lag)
    p99_ms, most_ms = (lag.quantile(0.99) or 0) / 1e6, lag.max / 1e6
    print(
        f"{number:6} open connections: agent {sum(cpu) / len(cpu):5.2f} % of a core (budget: ≤ 2), "
        f"{max(cpu):5.2f} % in its worst second; lag p99 {p99_ms:6.1f} ms, max {most_ms:6.1f} ms",
        flush=True,
    )


def hold(port: int, number: int) -> None:
    """Open so many connections, say so, and hold them until standard input ends."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # From several addresses: the ports of one are not enough.
    sources = [(f"127.0.0.{2 + place % 8}", 0) for place in range(number)]
    held = [socket.create_connection(("127.0.0.1", port), source_address=source) for source in sources]
    print(len(held), "open", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1:2] == ["hold"]:
        hold(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
