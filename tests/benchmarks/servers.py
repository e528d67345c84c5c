"""What the agent takes from a real server, what it keeps of it under load, and the latency around its ticks.

Three uvicorns serve one app, one of them with the agent and a client that reads its frames; they are
loaded in turns, in bursts so short that the machine's pace is the same for all of a round, in a new order
each round, by a process of its own. Compared is each with the one without in the same round, by the median
over the rounds. A second one without takes part too: what that seems to add is how far the figures can be
trusted.

What is kept is told at rates from idle to saturation: how many of the statements that ran were counted, one
request in how many was followed, and what the agent's thread took.

The last table asks whether requests notice when the agent closes its frame, once a second: the servers
without are looked at in the same phase of the second.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from perftui_agent.rhythm import STAGGER_NS
from tests.agent.watching import Frames, watching
from tests.benchmarks.load import Answer, Generator, Load, generator
from tests.support.servers import Service, running, write_app

WITHOUT, CONTROL, WITH = "without the agent", "without, once more", "with agent and client"

THROUGHPUT_ROUNDS = 24
THROUGHPUT_ROUND_S = 0.4
KEPT_S = 6.0
KEPT_RATES = (200, 500, 1_000, 2_000, 0)
LATENCY_ROUNDS = 10
LATENCY_ROUND_S = 4.0
CONNECTIONS = 8
PAUSE_MS = 8.0
"""Between a connection's requests where latency is measured: a load that leaves the server idle mostly."""

AROUND_S = 0.02
"""How long before and after a frame's close a request counts as near it."""

APP = """
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from perftui_agent import instrument

app = instrument(FastAPI())
engine = create_engine("sqlite:///shop.db", pool_size=8)
async_engine = create_async_engine("sqlite+aiosqlite:///shop.db", pool_size=8)
selects = [text(f"SELECT {number} AS a{number}, :b AS b") for number in range(4)]

@app.get("/sync/{statements}")
def in_a_thread(statements: int) -> list[int]:
    with engine.connect() as connection:
        return [connection.execute(select, {"b": 7}).one().b for select in selects[:statements]]

@app.get("/async/{statements}")
async def on_the_loop(statements: int) -> list[int]:
    async with async_engine.connect() as connection:
        return [(await connection.execute(select, {"b": 7})).one().b for select in selects[:statements]]

@app.get("/ping")
async def ping() -> str:
    return "pong"
"""


SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}

Figure = str
"""What one round of one server came to: `requests/s`, `near p99` …"""


@dataclass(slots=True)
class Server:
    """One server, and what its rounds came to."""

    service: Service
    frames: Frames | None = None
    """What its agent's client receives."""
    figures: dict[Figure, list[float]] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        """Of the only worker."""
        return self.service.process.pid

    def note(self, figure: Figure, value: float) -> None:
        """Keep one round's figure."""
        self.figures.setdefault(figure, []).append(value)

    def median(self, figure: Figure) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.figures[figure])

    def ratio(self, other: Server, figure: Figure) -> float:
        """Return the median over the rounds of what this one had of the other's figure."""
        pairs = zip(self.figures[figure], other.figures[figure], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def more(self, other: Server, figure: Figure) -> float:
        """Return the median over the rounds of what this one had more than the other."""
        pairs = zip(self.figures[figure], other.figures[figure], strict=True)
        return statistics.median(ours - theirs for ours, theirs in pairs)

    def forget(self) -> None:
        """Begin anew."""
        self.figures.clear()


@contextmanager
def three() -> Iterator[dict[str, Server]]:
    """Run two servers without the agent, and one with it, which has a client."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        app = write_app(Path(directory), APP)

        def serve(enabled: str) -> Server:
            env = {"PERFTUI_ENABLED": enabled}
            return Server(
                stack.enter_context(
                    running(app, workers=1, loop="uvloop", env=env, options=["--no-access-log"])
                )
            )

        servers = {WITHOUT: serve("0"), CONTROL: serve("0"), WITH: serve("1")}
        servers[WITH].frames = stack.enter_context(watching(servers[WITH].service))
        yield servers


def in_turns(servers: dict[str, Server], rounds: int, work: Callable[[Server], None]) -> None:
    """Do `work` on each server in each round, after one that warms up."""
    for server in servers.values():
        work(server)
        server.forget()
    for _ in range(rounds):
        for server in random.sample(list(servers.values()), len(servers)):
            work(server)


def cpu_s(pid: int) -> float:
    """Return the CPU a process has taken, by its own clock: what `/proc` tells comes in steps of 10 ms."""
    return time.clock_gettime((~pid << 3) | 2)  # as `clock_getcpuclockid` makes it


def throughput(servers: dict[str, Server], load: Generator, path: str) -> None:
    """Print requests a second at saturation, and CPU a request."""

    def work(server: Server) -> None:
        before_s = cpu_s(server.pid)
        answers = load.run(Load(server.service.port, path, CONNECTIONS, THROUGHPUT_ROUND_S))
        server.note("requests/s", len(answers) / THROUGHPUT_ROUND_S)
        server.note("CPU", (cpu_s(server.pid) - before_s) * 1e6 / len(answers))

    in_turns(servers, THROUGHPUT_ROUNDS, work)
    print(f"GET {path}, {CONNECTIONS} connections:")
    bare = servers[WITHOUT]
    for name, server in servers.items():
        print(
            f"  {name:22} {server.median('requests/s'):7.0f} requests/s"
            f" ({server.ratio(bare, 'requests/s'):5.3f} ×) {server.median('CPU'):7.0f} µs of CPU a request"
            f" ({server.ratio(bare, 'CPU'):5.3f} ×, {server.more(bare, 'CPU'):+4.0f} µs)"
        )


def kept(server: Server, load: Generator, path: str, statements: int) -> None:
    """Print what the agent keeps of the requests and statements at each rate, and what that takes."""
    assert server.frames is not None
    frames = server.frames.seen
    print(f"GET {path}, what is kept, {KEPT_S:.0f} s each:")
    for rate in KEPT_RATES:
        time.sleep(2.0)  # what was before is told of
        first = len(frames)
        answers = load.run(Load(server.service.port, path, CONNECTIONS, KEPT_S, rate=rate))
        time.sleep(2.0)
        told = frames[first:]
        counted = sum(route.status.total() for frame in told for route in frame.routes)
        executed = sum(row.latency.count for frame in told for row in frame.statements)
        busy = sorted(told, key=lambda frame: sum(route.status.total() for route in frame.routes))[-4:]
        print(
            f"  {rate or 'saturation':>10} {len(answers) / KEPT_S:6.0f} requests/s:"
            f" requests {counted / len(answers):6.1%},"
            f" statements {executed / max(1, len(answers) * statements):6.1%},"
            f" one request in {max(frame.agent.sampled for frame in told)} followed,"
            f" {max(len(frame.slowest) for frame in told)} stories,"
            f" agent {statistics.median(frame.agent.cpu_percent for frame in busy):4.2f} % of a core"
        )


def latency(servers: dict[str, Server], load: Generator) -> None:
    """Print how long a trivial endpoint takes, near a frame's close and elsewhere in the second."""
    offset_s = (servers[WITH].pid % 16) * STAGGER_NS / 1e9

    def work(server: Server) -> None:
        answers = load.run(Load(server.service.port, "/ping", CONNECTIONS, LATENCY_ROUND_S, PAUSE_MS))
        near = [answer.took_ns for answer in answers if is_near(answer, offset_s)]
        far = [answer.took_ns for answer in answers if not is_near(answer, offset_s)]
        for part, took_ns in (("all", near + far), ("near", near), ("far", far)):
            for name, share in SHARES.items():
                server.note(f"{part} {name}", quantile_us(took_ns, share))

    in_turns(servers, LATENCY_ROUNDS, work)
    print(f"GET /ping, {CONNECTIONS} connections that pause {PAUSE_MS:.0f} ms, latency in µs:")
    parts = {"all": "all", "near": f"± {AROUND_S * 1000:.0f} ms of a frame's close", "far": "elsewhere"}
    for part, told in parts.items():
        print(f"  {told:22} " + "".join(f"{name:>17}" for name in SHARES))
        for server_name, server in servers.items():
            cells = (
                f"{server.median(f'{part} {name}'):8.0f}"
                f" ({server.ratio(servers[WITHOUT], f'{part} {name}'):4.2f} ×)"
                for name in SHARES
            )
            print(f"    {server_name:22}" + " ".join(cells))


def is_near(answer: Answer, offset_s: float) -> bool:
    """Tell whether a request was in flight near the moment at which a frame is closed."""
    phase_s = (answer.sent_at_s - offset_s + AROUND_S) % 1.0
    return phase_s < 2 * AROUND_S or phase_s + answer.took_ns / 1e9 > 1.0


def quantile_us(took_ns: Sequence[int], share: float) -> float:
    """Return a quantile: of what was measured, nothing between."""
    ordered = sorted(took_ns)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000


def main() -> None:
    """Print the tables."""
    with three() as servers, generator() as load:
        for path in ("/ping", "/async/1", "/async/4", "/sync/1", "/sync/4"):
            throughput(servers, load, path)
        kept(servers[WITH], load, "/async/1", 1)
        kept(servers[WITH], load, "/async/4", 4)
        latency(servers, load)


if __name__ == "__main__":
    main()
