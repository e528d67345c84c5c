"""A service played by agents whose sockets and black boxes are the real ones, and whose frames are made up.

`python -m tests.support.fake_service [workers] [routes] [--history S] [--idle]` prints the directory to
look in (`PERFTUI_RUNTIME_DIR`), then has every worker speak once a second until it is killed or its
stdin closes; `perftui connect 8000` finds them there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from perftui_agent.blackbox.box import BlackBox
from perftui_agent.serve.worker_socket import WorkerSocket
from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.frames import WIRE_VERSION, Frame, Hello
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.lives import file_stem, here, running_start_ticks
from perftui_agent.wire.messages import ActionRequest
from perftui_agent.wire.process import ProcessStats
from perftui_agent.wire.registration import Registration
from tests.support.busy import encoded_frames
from tests.support.frames import frame
from tests.support.servers import private_dir

BOX_BYTES = 8 * 1024 * 1024
"""As much as an agent writes unless it is told otherwise."""

SPREAD_S = 0.1
"""Workers speak one after the other, all within so much of each second."""


@dataclass
class FakeWorker:
    """One worker: a sleeping process, a socket and a box."""

    identity: WorkerIdentity
    process: subprocess.Popen[bytes]
    socket: WorkerSocket
    box: BlackBox
    seq: int = 0


class FakeService:
    """Workers that speak when they are told to."""

    def __init__(self, directory: Path, workers: list[FakeWorker], routes: int, *, idle: bool) -> None:
        self.directory = directory
        self.workers = workers
        self._idle = idle
        self._random = random.Random(7)
        self.requests = 0
        """Those in all frames that have been made."""
        self._seconds = [frame(1, 1.0)] if idle else _decoded(encoded_frames(routes))

    def remember(self, seconds: int, now: float) -> None:
        """Have the boxes hold what the workers did in the `seconds` before `now`."""
        encoded = [encode(each) for each in self._seconds]
        for worker in self.workers:
            for back in range(seconds, 0, -1):
                # The box grows its thinned frames out of the objects it is given.
                made = decode_from_agent(encoded[self._random.randrange(len(encoded))])
                assert isinstance(made, Frame)
                self._date(made, worker, now - back)
                worker.box.add(made, encode(made))

    async def speak(self, spread_s: float = 0.0) -> None:
        """Have every worker send the second that has just passed."""
        for worker in self.workers:
            made = self._random.choice(self._seconds)
            self._date(made, worker, time.time())
            worker.socket.push(encode(made))
            await asyncio.sleep(spread_s / len(self.workers))

    def _date(self, made: Frame, worker: FakeWorker, ended_at: float) -> None:
        worker.seq += 1
        self.requests += sum(each.status.total() for each in made.routes)
        made.seq, made.ended_at = worker.seq, int(ended_at * 1e9)
        cpu_percent, more_bytes = (2.0, 1) if self._idle else (40.0, 2_000_000)
        made.process = ProcessStats(
            cpu_percent=cpu_percent * self._random.uniform(0.8, 1.2),
            rss_bytes=180_000_000 + self._random.randrange(more_bytes),
            threads=7,
            open_files=31,
            uptime_s=ended_at - worker.identity.started_at,
        )


def _decoded(encoded: list[bytes]) -> list[Frame]:
    return [made for each in encoded if isinstance(made := decode_from_agent(each), Frame)]


@contextlib.asynccontextmanager
async def fake_service(
    directory: Path, workers: int, routes: int, *, history_s: int = 0, idle: bool = False
) -> AsyncIterator[FakeService]:
    """Run agents of `workers` workers in `directory`, which remember `history_s` seconds."""
    async with contextlib.AsyncExitStack() as stack:
        played = [stack.enter_context(_worker(directory)) for _ in range(workers)]
        service = FakeService(directory, played, routes, idle=idle)
        service.remember(history_s, time.time())
        for worker in played:
            await worker.socket.open()
            stack.push_async_callback(worker.socket.close)
            _register(directory, worker.identity)
        yield service


@contextlib.contextmanager
def _worker(directory: Path) -> Iterator[FakeWorker]:
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(3600)"])
    try:
        place = here()
        identity = WorkerIdentity(
            host="box",
            pid=process.pid,
            started_at=psutil.Process(process.pid).create_time(),
            start_ticks=running_start_ticks(process.pid) or 0,
            boot_id=place.boot_id,
            pid_namespace=place.pid_namespace,
            service="shop",
            supervisor_pid=1,
            python="3.12.1",
            agent="0.1.0",
            server="uvicorn 0.54.0",
            frameworks={"fastapi": "0.165.0"},
        )
        said = encode(Hello(wire=WIRE_VERSION, worker=identity))
        box = BlackBox(_path(directory, identity, "ring"), hello=said, size_bytes=BOX_BYTES)
        socket = WorkerSocket(
            _path(directory, identity, "sock"),
            hello=lambda: said,
            history=lambda: box.history(time.time_ns()),
            act=_refuse,
        )
        yield FakeWorker(identity, process, socket, box)
    finally:
        process.kill()
        process.wait()


def _path(directory: Path, identity: WorkerIdentity, ending: str) -> Path:
    return directory / f"{file_stem(identity)}.{ending}"


def _register(directory: Path, identity: WorkerIdentity) -> None:
    socket = str(_path(directory, identity, "sock"))
    entry = Registration(wire=WIRE_VERSION, worker=identity, socket=socket, tcp=["127.0.0.1:8000"])
    _path(directory, identity, "json").write_bytes(msgspec.json.encode(entry))


async def _refuse(request: ActionRequest, _peer: str, *_: object) -> Refusal:
    return Refusal(id=request.id, reason="not today")


async def _run(workers: int, routes: int, history_s: int, idle: bool) -> None:
    directory = private_dir()
    try:
        async with fake_service(directory, workers, routes, history_s=history_s, idle=idle) as service:
            print(directory, flush=True)  # noqa: T201 - who started it reads it
            while True:
                await asyncio.sleep(1.0 - time.time() % 1.0)
                await service.speak(SPREAD_S)
    finally:
        shutil.rmtree(directory)


def _end_with_stdin(task: asyncio.Task[None], loop: asyncio.AbstractEventLoop) -> None:
    os.read(0, 1)
    loop.call_soon_threadsafe(task.cancel)


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("workers", type=int, nargs="?", default=4)
    parser.add_argument("routes", type=int, nargs="?", default=60)
    parser.add_argument("--history", type=int, default=0)
    parser.add_argument("--idle", action="store_true")
    given = parser.parse_args()
    task = asyncio.create_task(_run(given.workers, given.routes, given.history, given.idle))
    loop = asyncio.get_running_loop()
    threading.Thread(target=_end_with_stdin, args=(task, loop), daemon=True).start()
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    asyncio.run(_main())
