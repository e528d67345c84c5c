"""Promise 21 under real servers: what moves or is removed underneath them makes nobody dead."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from perftui_agent.wire.boxes import read_box
from perftui_agent.wire.registration import read_registrations
from tests.agent.watching import watching as streaming
from tests.support.servers import Service, private_dir, running, wait_until, write_app
from tests.support.watching import watching

APP = """
    import time
    from fastapi import FastAPI
    from perftui_agent import instrument

    app = instrument(FastAPI(version="1.4.2"), service="shop")
    wall, wall_ns = time.time, time.time_ns

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    @app.post("/set-clock/{by_s}")
    async def set_clock(by_s: float) -> float:
        time.time = lambda: wall() + by_s
        time.time_ns = lambda: wall_ns() + round(by_s * 1e9)
        return time.time()
"""

IN_A_CONTAINER = ("unshare", "-Urpf", "--mount-proc", "--kill-child")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """One worker."""
    with running(write_app(tmp_path, APP), workers=1) as service:
        service.wait_registered()
        yield service


def listed(service: Service) -> list[tuple[int, str | None]]:
    """Return the pids that `perftui ls` lists, and how they are."""
    document = json.loads(service.perftui("ls", "--json").stdout)
    return [(each["pid"], each["state"]) for found in document["services"] for each in found["workers"]]


def test_what_is_removed_underneath_is_made_again(service: Service) -> None:
    """By a cleaner, then the directory at a logout: it is listed, reachable, has its past; clients stay."""
    pid = service.pids()[0]
    with streaming(service) as frames:
        service.get("/items/1", times=5)
        frames.until(lambda frame: frame.routes)
        for path in service.runtime_dir.glob("*.sock"):
            path.unlink()
        wait_until(lambda: bool(list(service.runtime_dir.glob("*.sock"))), "the socket", timeout_s=10)
        assert listed(service) == [(pid, "ok")]
        shutil.rmtree(service.runtime_dir)
        wait_until(lambda: service.registered_pids() == [pid], "the entry", timeout_s=10)
        assert listed(service) == [(pid, "ok")]
        (box,) = service.runtime_dir.glob("*.ring")
        seqs = [frame.seq for frame in read_box(box)[1]]
        assert seqs == list(range(1, seqs[-1] + 1)), "from before its file was removed, too"
        later = frames.seen[-1].seq + 1
        assert frames.until(lambda frame: frame.seq >= later).agent.faults == {}


def test_a_step_of_the_clock_changes_no_count_and_no_rate(service: Service) -> None:
    """Back by ten minutes amid a snapshot: every request is told, over the seconds it took, and the step."""
    began_s = time.monotonic()
    with watching(service) as snapshot, service.client() as client:
        for by_s in (0, -600):
            client.post(f"/set-clock/{by_s}")
            for _ in range(50):
                client.get("/items/1")
    took_s = time.monotonic() - began_s
    document = snapshot.document
    assert snapshot.routes["GET /items/{item_id}"]["requests"] == 100
    assert 0 < document["window_s"] < took_s + 3
    pid = service.pids()[0]
    assert [(worker["pid"], worker["version"]) for worker in document["workers"]] == [(pid, "1.4.2")]
    assert document["notes"] == [
        f"the clock of worker {pid} was set back by 600 s; times here go on as before"
    ]


@pytest.mark.skipif(
    subprocess.run([*IN_A_CONTAINER, "true"], capture_output=True, check=False).returncode != 0,
    reason="new namespaces can't be made here",
)
def test_workers_of_several_pid_namespaces_share_a_directory(tmp_path: Path) -> None:
    """Each start leaves the others alone; from outside all are listed, and looked at."""
    app, shared = write_app(tmp_path, APP), private_dir()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, shared)
        env = {"PERFTUI_RUNTIME_DIR": str(shared)}
        services = [
            stack.enter_context(running(app, workers=1, env=env, before=before))
            for before in (IN_A_CONTAINER, IN_A_CONTAINER, ())
        ]
        outside = services[-1]

        def addresses() -> set[str]:
            return {address for _, entry in read_registrations(shared) for address in entry.tcp}

        expected = {f"127.0.0.1:{service.port}" for service in services}
        wait_until(lambda: addresses() == expected, "three workers to register", timeout_s=30)
        assert [state for _, state in listed(outside)] == ["ok"] * 3
        one = services[0]
        with watching(one) as snapshot:
            one.get("/items/1", times=5)
        assert snapshot.totals["requests"] == 5
        assert snapshot.document["workers"][0]["state"] == "ok"
        for service in services[:-1]:
            # `unshare` passes no SIGTERM on: each would be waited for ten seconds, then killed.
            os.killpg(service.process.pid, signal.SIGTERM)


SQLITE_APP = """
    import os
    from fastapi import FastAPI
    from perftui_agent import instrument
    from sqlalchemy import create_engine, text

    app = instrument(FastAPI())
    engine = create_engine("sqlite:///" + os.fsdecode(b"shop-\\xe9.db"))

    @app.get("/items")
    def items() -> int:
        with engine.connect() as connection:
            return connection.execute(text("SELECT 1")).scalar_one()
"""


def test_one_text_that_cannot_be_encoded_costs_no_worker_and_no_second(tmp_path: Path) -> None:
    """A service in a folder, and a database in a file, whose names are not UTF-8."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    app = write_app(tmp_path, SQLITE_APP)
    with running(app, workers=1, cwd=folder) as service:
        service.wait_registered()
        with watching(service) as snapshot:
            service.get("/items", times=5)
    assert snapshot.document["service"] == "caf\ufffd"
    assert snapshot.totals["requests"] == 5
    assert [query["count"] for query in snapshot.document["queries"]] == [5]
    assert snapshot.document["coverage"]["frames_dropped"] == 0
