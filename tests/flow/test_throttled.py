"""A real worker with a quota of CPU that it uses up, or not: what the snapshot says of it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.quota import limited, why_not
from tests.support.servers import Service, running, write_app

SOURCE = """
    import time
    from fastapi import FastAPI
    from perftui_agent import instrument

    app = instrument(FastAPI(), service="shop")

    @app.get("/work/{ms}")
    async def work(ms: int):
        until = time.thread_time() + ms / 1000
        while time.thread_time() < until:
            pass
"""

SECONDS = 9
"""A quota is looked for every three: it is told from the fourth on."""


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_worker_that_a_quota_stops_is_told_so_with_the_quota(tmp_path: Path) -> None:
    """A quarter of a core, and requests for nearly twice that: the cause, and none of its symptoms."""
    with running(write_app(tmp_path, SOURCE), workers=1) as service:
        (pid,) = service.wait_registered()
        with limited(0.25, pid) as group:
            seen = asked(service, "/work/6")
        (worker,) = seen["workers"]
        told = worker["throttled"]
        assert (told["quota_cores"], told["group"]) == (0.25, group)
        assert told["throttled"] > 0.5 * told["periods"] > 10
        assert 20.0 < told["stopped_percent"] <= worker["cpu_wait_percent"]
        kinds = {each["kind"] for each in seen["findings"]}
        assert "cpu-throttled" in kinds
        assert not kinds & {"cpu-saturated", "queueing", "worker-imbalance", "loop-blocked"}
        (machine,) = seen["machine"]
        assert machine["pids"] == [pid]


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_quota_that_nobody_waits_for_is_no_finding(tmp_path: Path) -> None:
    """A tenth of what it may, evenly: some period may be used up, and no request waits."""
    with running(write_app(tmp_path, SOURCE), workers=1) as service:
        (pid,) = service.wait_registered()
        with limited(0.8, pid):
            seen = asked(service, "/work/1")
        (worker,) = seen["workers"]
        assert worker["throttled"]["quota_cores"] == 0.8
        assert worker["throttled"]["stopped_percent"] < 5.0
        assert "cpu-throttled" not in {each["kind"] for each in seen["findings"]}


def asked(service: Service, path: str) -> dict[str, Any]:
    """Return the snapshot of some seconds in which four clients ask for `path`, each 16 times a second."""
    over = threading.Event()

    def ask() -> None:
        with service.client() as client:
            while not over.is_set():
                began = time.monotonic()
                client.get(path)
                over.wait(max(0.0, 1 / 16 - (time.monotonic() - began)))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        done = service.perftui("snapshot", service.target, "--for", f"{SECONDS}s", "--json")
    finally:
        over.set()
        for client in clients:
            client.join()
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
