"""Workers that died in the middle of a request: what they did last, and why they are no more."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from perftui_agent.wire.frames import Hello
from perftui_agent.wire.registration import read_registrations
from tests.support.boxes import write_box
from tests.support.frames import frame, worker
from tests.support.servers import Service, is_alive, private_dir, running, wait_until, write_app
from tests.support.terminal import perftui, terminal

SHOP = """
    import asyncio, ctypes, os
    from fastapi import FastAPI
    from perftui_agent import instrument

    app = FastAPI()
    instrument(app, service="shop")

    @app.get("/quick")
    async def quick() -> int:
        return os.getpid()

    @app.get("/pay/{number}")
    async def pay(number: int) -> int:
        await asyncio.sleep(60)
        return number

    @app.get("/crash")
    async def crash() -> None:
        ctypes.string_at(0)

    @app.get("/leave")
    async def leave() -> None:
        os._exit(7)

    @app.get("/eat")
    async def eat() -> int:
        eaten = []
        while True:
            eaten.append(os.urandom(4 * 1024 * 1024))
            await asyncio.sleep(0.01)
"""

MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


@contextlib.contextmanager
def asking(service: Service, path: str) -> Iterator[None]:
    """Have somebody wait for an answer over the block."""

    def ask() -> None:
        with contextlib.suppress(httpx.HTTPError), service.client() as client:
            client.get(path)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    yield
    thread.join(5)


def in_flight(service: Service, route: str) -> int:
    """Return the pid of the worker that serves a route now."""
    found: list[int] = []

    def serves() -> bool:
        printed = service.perftui("snapshot", service.target, "--for", "1s", "--json")
        rows = json.loads(printed.stdout)["in_flight"] if printed.returncode == 0 else []
        found[:] = [row["pid"] for row in rows if row["route"] == route]
        return bool(found)

    wait_until(serves, f"{route} in flight", service.log)
    return found[0]


def told_of(service: Service) -> set[int]:
    """Return the pids of the workers that have told of a second, if that is two."""
    printed = service.perftui("snapshot", service.target, "--for", "2s", "--json")
    rows = json.loads(printed.stdout)["workers"] if printed.returncode == 0 else []
    live = {row["pid"] for row in rows if row["state"] == "ok"}
    return live if len(live) == service.workers else set()


def gone(service: Service, pid: int) -> dict[str, Any]:
    """Return what `perftui ls` says of a worker that is no more, once it does."""
    found: list[dict[str, Any]] = []

    def told() -> bool:
        document = json.loads(service.perftui("ls", "--json").stdout)
        found[:] = [row for row in document["gone"] if row["pid"] == pid and row["ended"]]
        return bool(found)

    wait_until(told, f"the end of {pid}", service.log)
    return found[0]


def test_a_worker_that_is_killed_is_opened_afterwards(tmp_path: Path) -> None:
    """`kill -9` amid a request: the request, the last second and the signal, live, and when all is over."""
    with running(write_app(tmp_path, SHOP), workers=2) as service:
        service.wait_registered()
        service.get("/quick", times=20)
        with asking(service, "/pay/7"):
            pid = in_flight(service, "GET /pay/{number}")
            os.kill(pid, signal.SIGKILL)
            row = gone(service, pid)
            assert row["ended"].startswith("killed by SIGKILL, as by kill -9")
            assert row["service"] == "shop"
        page = tmp_path / "page.md"
        made = service.perftui("report", service.target, "-o", str(page), "--for", "1s")
        assert made.returncode == 0, made.stderr
        assert f"worker {pid}: killed by SIGKILL" in page.read_text(encoding="utf-8")
        opened = service.perftui("snapshot", f"pid:{pid}", "--json")
        assert opened.returncode == 0, opened.stderr
        assert f"worker {pid} of shop is gone since" in opened.stderr
        assert "killed by SIGKILL" in opened.stderr
        document = json.loads(opened.stdout)
        (lost,) = (each for each in document["findings"] if each["kind"] == "worker-lost")
        assert lost["sentence"].startswith("killed by SIGKILL")
        assert "serving GET /pay/{number}" in lost["sentence"]
        assert lost["evidence"]["ended"]["in_flight"] == [{"route": "GET /pay/{number}", "path": "/pay/7"}]
        path = tmp_path / "dead.perftui"
        recorded = service.perftui("record", f"pid:{pid}", "-o", str(path))
        assert recorded.returncode == 0, recorded.stderr
        again = json.loads(service.perftui("snapshot", str(path), "--json").stdout)
        assert again["totals"]["requests"] == document["totals"]["requests"]
        table = service.perftui("ls").stdout
        assert f"perftui connect pid:{pid}" in table
        # One has taken its place: who dies before it has told of anything has nothing to leave.
        wait_until(lambda: told_of(service) == set(service.pids()), "all that run to be told of", service.log)
        # Supervisor and all: nobody is left who could have seen how.
        others = [psutil.Process(each) for each in service.pids()]
        service.process.kill()
        for each in others:
            each.kill()
        wait_until(lambda: not any(map(is_alive, others)), "all of it to end")
        document = json.loads(service.perftui("ls", "--json").stdout)
        assert document["services"] == []
        assert {row["pid"] for row in document["gone"]} >= {pid, *(each.pid for each in others)}
        for target in (["service:shop"], [service.target], []):
            opened = service.perftui("snapshot", *target, "--json")
            assert opened.returncode == 0, opened.stderr
            assert "how it ended nobody has seen" in opened.stderr
            assert json.loads(opened.stdout)["totals"]["requests"] > 0
        judged = service.perftui("check", "service:shop", "--fail-on", "worker-lost", "--json")
        assert judged.returncode == 1, judged.stderr
        assert [each["verdict"] for each in json.loads(judged.stdout)["targets"]] == ["missed"]
        assert "is gone since" in judged.stderr
        page = tmp_path / "dead.html"
        written = service.perftui("report", "service:shop", "-o", str(page))
        assert written.returncode == 0, written.stderr
        assert "worker-lost" in page.read_text()
        assert "GET /quick" in page.read_text()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/crash", "crashed: a segmentation fault (SIGSEGV)"),
        ("/leave", "exited with code 7, without stopping in order"),
    ],
)
def test_a_crash_and_an_exit_are_told_apart(tmp_path: Path, path: str, told: str) -> None:
    """A segmentation fault is named by its signal, an exit by its code, each with the request that it was."""
    with running(write_app(tmp_path, SHOP), workers=2) as service:
        pids = set(service.wait_registered())
        time.sleep(1.0)  # an agent knows its siblings
        with asking(service, path):
            wait_until(lambda: bool(pids - set(service.pids())), "a worker to end", service.log)
        (pid,) = pids - set(service.pids())
        assert gone(service, pid)["ended"] == told


@contextlib.contextmanager
def memory_group() -> Iterator[Path | None]:
    """Make a memory cgroup of version 1 within our own; None where this machine does not let us."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line.rpartition(":")[2] for line in lines if ":memory:" in line), "")
    group = MEMORY_GROUPS / own.lstrip("/") / f"perftui-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        yield group
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text().strip(), "the group to be empty")
        group.rmdir()


def test_out_of_memory_is_told(tmp_path: Path) -> None:
    """What the kernel ends in a full memory group was out of memory, and what it was doing is known.

    Where no group can be made the kernel is played by a plain kill, of which that must not be said.
    """
    with memory_group() as group, running(write_app(tmp_path, SHOP), workers=2) as service:
        pids = set(service.wait_registered())
        if group is not None:
            for each in [service.process.pid, *service.pids()]:
                (group / "cgroup.procs").write_text(str(each))
            used = int((group / "memory.usage_in_bytes").read_text())
            (group / "memory.limit_in_bytes").write_text(str(used + 160 * 1024 * 1024))
        time.sleep(1.5)
        with asking(service, "/eat" if group is not None else "/pay/7"):
            if group is None:
                os.kill(in_flight(service, "GET /pay/{number}"), signal.SIGKILL)
            wait_until(lambda: bool(pids - set(service.pids())), "an out-of-memory kill", service.log)
        (pid,) = pids - set(service.pids())
        row = gone(service, pid)
        opened = service.perftui("snapshot", f"pid:{pid}", "--json")
        lost = next(each for each in json.loads(opened.stdout)["findings"] if each["kind"] == "worker-lost")
        if group is None:
            assert row["verdict"] == "SIGKILL"
            return
        assert row["ended"].startswith("out of memory: ended by the kernel")
        assert row["verdict"] == "out-of-memory"
        assert "serving GET /eat" in lost["sentence"]
        assert lost["advice"].startswith("Give it more memory")


def test_a_registration_is_no_more_than_a_name(tmp_path: Path) -> None:
    """Where nothing has died and nothing runs, that is what is said."""
    with running(write_app(tmp_path, SHOP), workers=1) as service:
        (pid,) = service.wait_registered()
    assert not list(read_registrations(service.runtime_dir))
    said = service.perftui("snapshot", f"pid:{pid}")
    assert said.returncode == 2
    assert f"there is no process {pid}" in said.stderr


def test_who_connects_amid_a_restart_goes_on_with_who_comes(tmp_path: Path) -> None:
    """From the last minutes of those that are gone, long ago or a moment ago, to the living."""
    directory = private_dir()
    app, env = write_app(tmp_path, SHOP), {"PERFTUI_RUNTIME_DIR": str(directory)}
    ended = int(time.time()) - 600
    box = [frame(seq, ended + seq) for seq in range(-3, 1)]
    write_box(directory, Hello(wire=1, worker=worker(4_000_000)), box)
    command = perftui("connect", "service:shop")
    try:
        with terminal(*command, env=os.environ | env, size=(120, 40)) as screen:
            screen.wait_for("4000000", "ended")
            with running(app, workers=1, env=env) as service:
                screen.wait_for("service:shop runs again: q goes on with it")
                service.get("/quick", times=20)
                screen.press("q")
                (pid,) = service.pids()
                screen.wait_for("GET /quick", str(pid))
                service.process.kill()
                screen.wait_for("lost")
                screen.press("q")
                assert screen.end() == 0
        with terminal(*command, env=os.environ | env, size=(120, 40)) as screen:
            screen.wait_for("lost", "GET /quick", "waiting for service:shop to come again")
            with running(app, workers=1, env=env) as service:
                screen.wait(lambda text: "lost" not in text and f"{service.process.pid}" in text, "the new")
                screen.press("q")
                assert screen.end() == 0
    finally:
        shutil.rmtree(directory)
