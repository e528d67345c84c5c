"""Locust's master as a sender: `python -m perftui.ramp.locust_master HOST PORT WORKERS`.

Speaks as `perftui.ramp.sender` does: a `Setup` and `Order`s as lines on stdin, `Told` as lines on stdout. Its
workers, on whichever machines, have asked it for the locustfile (`locust -f - --worker --master-host HOST`).
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent.fileobject import FileObjectThread
from gevent.queue import Queue
from locust import events
from locust.env import Environment

from perftui.ramp.fleet import added, locustfile
from perftui.ramp.sender import TELL_S, Order, Setup, Told

COME_S = 120.0
"""How long workers may take to come."""

SPAWN_S = 2.0
"""Until all users of a step are up."""

REPORTS_S = 1.2
"""Until workers have told of the last of a step: they do so twice a second."""


class Master:
    """Carries out orders with what workers there are."""

    def __init__(self, setup: Setup, host: str, port: int, workers: int, directory: Path) -> None:
        file = directory / "locustfile.py"
        file.write_text(locustfile(setup), encoding="utf-8")
        spec = importlib.util.spec_from_file_location("perftui_locustfile", file)
        assert spec is not None  # noqa: S101 - a path that was just written
        assert spec.loader is not None  # noqa: S101
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        environment = Environment(user_classes=[module.Sends], events=events, host=setup.base_url)
        environment.parsed_locustfiles = [str(file)]
        events.worker_report.add_listener(self._reported)
        self._runner = environment.create_master_runner(host, port)
        self._most = setup.most_open
        self._workers = workers
        self._told = Told(0.0)

    def run(self, orders: Queue[bytes]) -> None:
        """Carry out orders until there is an empty one."""
        self._await_workers(orders)
        while line := orders.get():
            order = msgspec.json.decode(line, type=Order)
            if order.rate:
                self._step(order, orders)
        self._runner.quit()

    def _await_workers(self, orders: Queue[bytes]) -> None:
        until = time.monotonic() + COME_S
        while len(self._runner.clients.ready) < self._workers:
            if time.monotonic() > until:
                said = f"{len(self._runner.clients.ready)} of {self._workers} workers of locust have come"
                sys.exit(f"perftui ramp: in {COME_S:.0f} s {said}")
            if not orders.empty() and not orders.peek():
                sys.exit(0)
            gevent.sleep(0.1)

    def _step(self, order: Order, orders: Queue[bytes]) -> None:
        users = max(min(round(order.rate), self._most), 1)
        said = {"each_rps": order.rate / users, "after_s": SPAWN_S + order.warm_s, "seconds": order.seconds}
        self._runner.send_message("perftui", said)
        self._told = Told(0.0)
        spawning = gevent.spawn(self._runner.start, users, max(users, 1))
        began = time.monotonic() + SPAWN_S
        ends = began + order.warm_s + order.seconds + REPORTS_S
        while time.monotonic() < ends and orders.empty():
            gevent.sleep(TELL_S)
            self._tell(time.monotonic() - began)
        spawning.kill()
        self._runner.stop()
        gevent.sleep(REPORTS_S / 2)
        self._tell(time.monotonic() - began, last=True)

    def _reported(self, data: dict[str, Any], **_: object) -> None:
        added(self._told, data.get("perftui") or {})

    def _tell(self, at_s: float, *, last: bool = False) -> None:
        told, self._told = self._told, Told(0.0)
        told.at_s, told.last = max(at_s, 0.0), last
        busiest = max((each.cpu_usage for each in self._runner.clients.values()), default=0)
        told.cpu_s = busiest / 100 * TELL_S
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        sys.stdout.flush()


def main() -> None:
    """Read what is to be done, and do it."""
    host, port, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    orders: Queue[bytes] = Queue()

    def read() -> None:
        for line in FileObjectThread(sys.stdin.buffer, "rb"):
            orders.put(line)
        orders.put(b"")

    gevent.spawn(read)
    setup = msgspec.json.decode(orders.get(), type=Setup)
    with tempfile.TemporaryDirectory(prefix="perftui-locust-") as directory:
        Master(setup, host, port, workers, Path(directory)).run(orders)


if __name__ == "__main__":
    main()
