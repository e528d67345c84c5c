"""What the agent takes from a real server: throughput, and the latency around its ticks.

Three uvicorns serve one app, one of them with the agent and a client that reads its frames; they are
loaded in turns, in a new order each round, by a process of its own. Compared is each with the one without
in the same round, by the median over the rounds. A second one without takes part too: what that seems to
add is how far the figures can be trusted.

The last table asks whether requests notice when the agent closes its frame, once a second: the servers
without are looked at in the same phase of the second.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from perftui_agent.rhythm import STAGGER_NS
from tests.agent.watching import watching
from tests.benchmarks.load import Answer, Load
from tests.support.servers import Service, running, write_app

WITHOUT, CONTROL, WITH = "without the agent", "without, once more", "with agent and client"

THROUGHPUT_ROUNDS = 20
THROUGHPUT_ROUND_S = 1.0
LATENCY_ROUNDS = 10
LATENCY_ROUND_S = 4.0
CONNECTIONS = 8
PAUSE_MS = 8.0
"""Between a connection's requests where latency is measured: a load that leaves the server idle mostly."""

AROUND_S = 0.02
"""How long before and after a frame's close a request counts as near it."""

STATEMENTS = 4

APP = """
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from perftui_agent import instrument

app = instrument(FastAPI())
engine = create_engine("sqlite:///shop.db", pool_size=8)
async_engine = create_async_engine("sqlite+aiosqlite:///shop.db", pool_size=8)
selects = [text(f"SELECT {number} AS a{number}, :b AS b") for number in range(4)]

@app.get("/sync/{number}")
def in_a_thread(number: int) -> list[int]:
    with engine.connect() as connection:
        return [connection.execute(select, {"b": number}).one().b for select in selects]

@app.get("/async/{number}")
async def on_the_loop(number: int) -> list[int]:
    async with async_engine.connect() as connection:
        return [(await connection.execute(select, {"b": number})).one().b for select in selects]

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
        stack.enter_context(watching(servers[WITH].service))
        yield servers


def in_turns(servers: dict[str, Server], rounds: int, work: Callable[[Server], None]) -> None:
    """Do `work` on each server in each round, after one that warms up."""
    for server in servers.values():
        work(server)
        server.figures.clear()
    for _ in range(rounds):
        for server in random.sample(list(servers.values()), len(servers)):
            work(server)


def throughput(servers: dict[str, Server], path: str) -> None:
    """Print requests a second, and CPU a request, of an endpoint with four statements."""

    def work(server: Server) -> None:
        before = psutil.Process(server.pid).cpu_times()
        answers = Load(server.service.port, path, CONNECTIONS, THROUGHPUT_ROUND_S).run()
        after = psutil.Process(server.pid).cpu_times()
        server.note("requests/s", len(answers) / THROUGHPUT_ROUND_S)
        server.note("CPU", (after.user + after.system - before.user - before.system) * 1e6 / len(answers))

    in_turns(servers, THROUGHPUT_ROUNDS, work)
    print(f"GET {path}, {STATEMENTS} statements a request, {CONNECTIONS} connections:")
    for name, server in servers.items():
        rate = f"{server.median('requests/s'):7.0f} requests/s"
        cpu = f"{server.median('CPU'):7.0f} µs of CPU a request"
        bare = servers[WITHOUT]
        print(
            f"  {name:22} {rate} ({server.ratio(bare, 'requests/s'):5.3f} ×)"
            f" {cpu} ({server.ratio(bare, 'CPU'):5.3f} ×)"
        )


def latency(servers: dict[str, Server]) -> None:
    """Print how long a trivial endpoint takes, near a frame's close and elsewhere in the second."""
    offset_s = (servers[WITH].pid % 16) * STAGGER_NS / 1e9

    def work(server: Server) -> None:
        answers = Load(server.service.port, "/ping", CONNECTIONS, LATENCY_ROUND_S, PAUSE_MS).run()
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
    with three() as servers:
        throughput(servers, "/sync/7")
        throughput(servers, "/async/7")
        latency(servers)


if __name__ == "__main__":
    main()
