"""What each action costs the worker that it looks at: throughput meanwhile, and the pause of a dump.

Two workers serve one app; in one of them the action goes on. They are loaded in turns, in bursts so short
that the machine's pace is the same for both of a round, in a new order each round; compared are the two of a
round, by the median over the rounds. Rounds in which neither does anything tell how far the figures can be
trusted. The requests run four statements on SQLite, on the loop or in a thread.

The pause is what the slowest request of a steady, light load took longer for a dump in its midst.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from websockets.sync.client import ClientConnection

from perftui_agent.wire.actions import Finish, FunctionsRequest, MemoryRequest, ProfileRequest, Progress
from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.dumps import DumpRequest, Refusal
from perftui_agent.wire.frames import Frame, Hello, History
from perftui_agent.wire.messages import ActionRequest, ActionResult
from tests.benchmarks.load import Generator, Load, generator
from tests.support.servers import Service, running, write_app
from tests.support.stream import connected, registration_of

ROUNDS = 16
BURST_S = 0.15
"""With all its requests of one route measured, a worker has not answered a thousand in that."""

BEGINS_S = 0.6
"""After so long py-spy has started, and samples."""

RESTS_S = 1.1
"""No more than one action a second is allowed."""

CONNECTIONS = 2

DUMPS = 8
PAUSE_RATE = 150.0
PAUSE_BURST_S = 0.6

APP = """
import threading
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from perftui_agent import instrument

app = instrument(FastAPI())
engine = create_engine("sqlite:///shop.db", pool_size=8)
selects = [text(f"SELECT {number} AS a{number}, :b AS b") for number in range(4)]

def asked() -> list[int]:
    with engine.connect() as connection:
        return [connection.execute(select, {"b": 7}).one().b for select in selects]

@app.get("/loop")
async def on_the_loop() -> list[int]:
    return asked()

@app.get("/thread")
def in_a_thread() -> list[int]:
    return asked()

@app.get("/other")
async def other() -> str:
    return "other"

@app.get("/threads/{number}")
async def threads(number: int) -> int:
    for _ in range(number):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return threading.active_count()
"""

ACTIONS: dict[str, Callable[[str, str], ActionRequest | None]] = {
    "nothing": lambda _id, _route: None,
    "py-spy, at most 100 Hz": lambda id_, _: ProfileRequest(id=id_, for_s=30.0, rate_hz=100, engine="py-spy"),
    "the agent's sampler, 50 Hz": lambda id_, _: ProfileRequest(
        id=id_, for_s=30.0, rate_hz=50, engine="sampler", by_route=True
    ),
    "functions of another route": lambda id_, _: FunctionsRequest(id=id_, route="GET /other", for_s=30.0),
    "functions of this route": lambda id_, route: FunctionsRequest(
        id=id_, route=route, requests=1_000, for_s=30.0
    ),
    "memory": lambda id_, _: MemoryRequest(id=id_, for_s=30.0),
}

ON_THE_LOOP_ALONE = ("functions of another route", "memory")
"""What costs a thread no other than the loop."""


class Asking:
    """A client that has things done in the worker."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0

    def new_id(self) -> str:
        """Return an id that was not used yet."""
        self._number += 1
        return str(self._number)

    def begin(self, request: ActionRequest) -> None:
        """Ask for an action."""
        self._connection.send(encode(request))

    def end(self, request: ActionRequest) -> ActionResult:
        """End it; return what it came to."""
        self._connection.send(encode(Finish(id=request.id)))
        return self.result()

    def result(self) -> ActionResult:
        """Return what an action came to."""
        while True:
            data = self._connection.recv(60.0)
            answer = decode_from_agent(data if isinstance(data, bytes) else data.encode())
            if isinstance(answer, Refusal):
                raise RuntimeError(f"{answer.reason}: {answer.advice}")
            if not isinstance(answer, Hello | Frame | History | Progress):
                return answer


class Worker:
    """A server, and a client of its agent."""

    def __init__(self, service: Service, asking: Asking) -> None:
        self.service = service
        self.asking = asking


@contextmanager
def workers() -> Iterator[tuple[Worker, Worker, Generator]]:
    """Run one that is looked at, one that is not, and a process that sends requests."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        app = write_app(Path(directory), APP)

        def serve() -> Worker:
            service = stack.enter_context(running(app, workers=1, loop="uvloop", options=["--no-access-log"]))
            service.wait_registered()
            return Worker(service, Asking(stack.enter_context(connected(registration_of(service).socket))))

        yield serve(), serve(), stack.enter_context(generator())


def main() -> None:
    """Print the tables."""
    with workers() as (looked_at, other, sending):
        for path in ("/loop", "/thread"):
            print(f"requests/s of GET {path} while it is under way, of those of a worker without it")
            for name, action in ACTIONS.items():
                if path == "/thread" and name in ON_THE_LOOP_ALONE:
                    continue
                shares, rate = throughput(looked_at, other, sending, path, action)
                low, middle, high = statistics.quantiles(shares, n=4)
                print(f"  {name:28} {middle:6.1%}   (half of them {low:.0%} … {high:.0%}, of {rate:5.0f}/s)")
        for more in (0, 40):
            threads = looked_at.service.get(f"/threads/{more}")[0].json()
            pause_ms, took_ms = pauses(looked_at.service, looked_at.asking, sending)
            print(
                f"a dump of {threads} threads takes {took_ms:.0f} ms, the slowest request {pause_ms:+.1f} ms"
            )


def throughput(
    looked_at: Worker,
    other: Worker,
    sending: Generator,
    path: str,
    action: Callable[[str, str], ActionRequest | None],
) -> tuple[list[float], float]:
    """Return the share of its throughput that is left to a worker, round by round, and the other's median."""
    for worker in (looked_at, other):
        sending.run(Load(worker.service.port, path, CONNECTIONS, 0.5))
    request = action(looked_at.asking.new_id(), f"GET {path}")
    if request is not None:
        looked_at.asking.begin(request)
        time.sleep(BEGINS_S)
    rng, shares, rates = random.Random(7), [], []
    for _ in range(ROUNDS):
        done = {
            worker: len(sending.run(Load(worker.service.port, path, CONNECTIONS, BURST_S))) / BURST_S
            for worker in rng.sample((looked_at, other), 2)
        }
        shares.append(done[looked_at] / done[other])
        rates.append(done[other])
    if isinstance(request, FunctionsRequest):
        finished(looked_at.asking, request, path)
    elif request is not None:
        looked_at.asking.end(request)
    time.sleep(RESTS_S)
    return shares, statistics.median(rates)


def finished(asking: Asking, request: FunctionsRequest, path: str) -> None:
    """End it; of another route none has come, which is what its refusal says."""
    try:
        asking.end(request)
    except RuntimeError:
        if request.route == f"GET {path}":
            raise


def pauses(service: Service, asking: Asking, sending: Generator) -> tuple[float, float]:
    """Return by how much a dump makes the slowest request slower, and how long it takes; both in ms."""
    rng, more, took = random.Random(7), [], []
    for _ in range(DUMPS):
        slowest: dict[bool, float] = {}
        for with_it in rng.sample((True, False), 2):
            if with_it:
                asking.begin(DumpRequest(id=asking.new_id()))
            load = Load(service.port, "/loop", CONNECTIONS, PAUSE_BURST_S, rate=PAUSE_RATE)
            slowest[with_it] = max(answer.took_ns for answer in sending.run(load)) / 1e6
            if with_it:
                took.append(asking.result().took_ns / 1e6)  # type: ignore[union-attr]
            time.sleep(RESTS_S)
        more.append(slowest[True] - slowest[False])
    return statistics.median(more), statistics.median(took)
