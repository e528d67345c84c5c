"""Dumps of real services: the line that each kind of trouble hangs in, and by which rung it was seen."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from perftui_agent.wire.registration import read_registrations
from tests.support.servers import Loop, Server, Service, running, wait_until, write_app

APP = """
import asyncio, ctypes, logging, os, re, threading, time
from pathlib import Path
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from perftui_agent import instrument

if os.environ.get("DUMPABLE") == "no":
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # as the system does where a server changes its user

logging.basicConfig(level=logging.INFO)
app = FastAPI(title="shop")
engine = create_async_engine(
    "sqlite+aiosqlite://", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0, pool_timeout=120
)
one, other = threading.Lock(), threading.Lock()

def gone(name):
    return Path(os.environ["GO"], name).exists()

@app.middleware("http")
async def pass_on(request, call_next):
    return await call_next(request)

@app.get("/pool")
async def pool():
    async with engine.connect() as connection:
        while not gone("pool"):
            await asyncio.sleep(0.1)

def takes(first, second, taken):
    with first:
        taken.wait()
        second.acquire()

@app.get("/deadlock")
def deadlock():
    taken = threading.Barrier(2)
    threading.Thread(target=takes, args=(other, one, taken), daemon=True).start()
    takes(one, other, taken)

@app.get("/sync/{number}")
def sync(number: int):
    token = "s3cret"
    while not gone("sync"):
        time.sleep(0.1)

@app.get("/sleeps")
async def sleeps():
    while not gone("sleeps"):
        time.sleep(0.1)

@app.get("/computes")
async def computes():
    while not gone("computes"):
        sum(number * number for number in range(10_000))

@app.get("/regex")
async def regex():
    return re.match("(a+)+$", "a" * 60 + "b")

instrument(app)
"""

Document = dict[str, Any]


def send(service: Service, path: str, times: int = 1) -> None:
    """Send requests that nobody waits for."""

    def get() -> None:
        with contextlib.suppress(httpx.HTTPError), service.client() as client:
            client.get(path, timeout=120)

    for _ in range(times):
        threading.Thread(target=get, daemon=True).start()


def dumped(service: Service) -> list[Document]:
    """Return the dump of each worker."""
    done = service.perftui("dump", service.target, "--json")
    if not done.stdout:
        return []
    document: Document = json.loads(done.stdout)
    several: list[Document] | None = document.get("dumps")
    return [document] if several is None else several


def seen(documents: list[Document], function: str) -> list[tuple[Document, Document, str]]:
    """Return the dump, the thread or the tasks, and the line of code, where the app's function is at."""
    return [
        (document, stack, Path(frame["file"]).read_text().splitlines()[frame["line"] - 1].strip())
        for document in documents
        for stack in (*document["threads"], *(document["tasks"] or ()))
        for frame in stack["frames"]
        if frame["function"] == function and frame["file"].endswith("/app.py")
    ]


def seen_in_time(
    service: Service, function: str, *, with_route: bool = True
) -> list[tuple[Document, Document, str]]:
    """Dump until somebody is in the function, and its route is told.

    A request takes its time to come there. If it comes there while a dump is taken, nobody knows whom the
    thread has worked for all along, and the dump does not tell.
    """
    found: list[tuple[Document, Document, str]] = []

    def is_there() -> bool:
        found[:] = seen(dumped(service), function)
        served = [stack.get("route") or stack.get("routes") for _, stack, _ in found]
        return any(served) if with_route else bool(found)

    wait_until(is_there, f"a dump that shows {function}", lambda: f"{found}\n{service.log()}")
    return found


def with_variables(service: Service, function: str) -> subprocess.CompletedProcess[str]:
    """Dump with the variables of a function, as soon as its workers may be asked again."""
    while "ask again in" in (told := service.perftui("dump", service.target, "--locals", function)).stderr:
        time.sleep(0.5)
    return told


@contextlib.contextmanager
def troubled(folder: Path, server: Server, loop: Loop, **more: Any) -> Iterator[tuple[Service, Path]]:
    """Serve the app by two workers that nobody ends; give the folder in which a file lets it go on."""
    go = folder / "go"
    go.mkdir()
    patience = "--timeout-worker-healthcheck" if server == "uvicorn" else "--timeout"
    env = {"GO": str(go), **more.pop("env", {})}
    options = (patience, "300")
    with running(
        write_app(folder, APP), server=server, loop=loop, workers=2, env=env, options=options, **more
    ) as service:
        try:
            yield service, go
        finally:
            # Nothing of this ends politely.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(service.process.pid, signal.SIGKILL)


@pytest.mark.parametrize(("server", "loop"), [("uvicorn", "uvloop"), ("gunicorn", "asyncio")])
def test_the_line_is_named_whatever_a_worker_hangs_in(tmp_path: Path, server: Server, loop: Loop) -> None:
    """A pool that has run dry, two locks, a sync endpoint; `time.sleep`, Python and C on the loop."""
    with troubled(tmp_path, server, loop) as (service, go):
        service.wait_registered()

        send(service, "/pool", 5)
        send(service, "/deadlock")
        send(service, "/sync/7")
        both = seen_in_time(service, "takes")
        waits = {line for _, _, line in both}
        assert waits == {"second.acquire()"}
        assert sorted(stack["route"] or "" for _, stack, _ in both) == ["", "GET /deadlock"]

        ((_, stack, line),) = seen_in_time(service, "sync")
        assert line == "time.sleep(0.1)"
        assert stack["route"] == "GET /sync/{number}"
        assert stack["age_ms"] > 0
        assert stack["task"], "the one that waits for the thread"

        dry = [
            (stack, line)
            for _, stack, line in seen_in_time(service, "pool")
            if "connection:" in line and stack["waits_for"] == "Queue.get"
        ]
        assert dry
        assert all(stack["routes"] == {"GET /pool": stack["count"]} for stack, _ in dry)
        assert any("sqlalchemy/pool/" in frame["file"] for frame in dry[0][0]["frames"])

        told = with_variables(service, "sync")
        assert "number = 7" in told.stdout
        assert "token = (hidden" in told.stdout
        assert "s3cret" not in told.stdout
        assert "what its users sent may be among them" in told.stderr
        wait_until(lambda: "with the variables of sync for uid" in service.log(), "the audit", service.log)
        (go / "sync").touch()
        (go / "pool").touch()

        for function in ("sleeps", "computes"):
            send(service, f"/{function}")
            ((document, stack, _),) = seen_in_time(service, function)
            assert stack["is_main"]
            assert stack["route"] == f"GET /{function}"
            assert document["method"] == "py-spy"
            assert document["taken_by"] == document["worker"]
            (go / function).touch()

        send(service, "/regex")
        ((document, stack, line),) = seen_in_time(service, "regex", with_route=False)
        assert line == 'return re.match("(a+)+$", "a" * 60 + "b")'
        # By a sibling's py-spy; where that is just looking of its own accord, on a signal.
        assert stack["holds_gil"] or document["method"] == "faulthandler"
        assert document["tasks"] is None
        assert document["taken_by"] != document["worker"]


AS_NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    # To read this Python, wherever it lies; it is no right to trace anybody.
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="only root can become somebody else"
)
def test_as_a_user_who_may_trace_nobody_each_rung_says_why_it_was_taken(tmp_path: Path) -> None:
    """From inside while it answers; on a sibling's signal while C holds its GIL, at last on perftui's own."""
    runtime = Path(tempfile.mkdtemp(prefix="ptui-", dir="/tmp"))
    os.chown(runtime, 65534, 65534)
    env = {"DUMPABLE": "no", "PERFTUI_RUNTIME_DIR": str(runtime), "HOME": str(runtime)}
    try:
        with troubled(tmp_path, "uvicorn", "asyncio", env=env, before=AS_NOBODY) as (service, _):
            wait_until(
                lambda: sum(bool(each.tcp) for _, each in read_registrations(runtime)) == 2,
                "2 workers",
                service.log,
            )
            send(service, "/sync/7")
            ((document, stack, _),) = seen_in_time(service, "sync")
            assert document["method"] == "python"
            assert document["note"].startswith("seen from inside: tracing pid ")
            assert stack["route"] == "GET /sync/{number}"

            send(service, "/regex")
            ((document, stack, line),) = seen_in_time(service, "regex", with_route=False)
            pid, sibling = document["worker"], document["taken_by"]
            assert (document["method"], stack["is_main"], stack["holds_gil"]) == ("faulthandler", True, None)
            assert sibling not in (None, pid)
            assert f"written on a signal: tracing pid {pid} is not permitted" in document["note"]
            assert line == 'return re.match("(a+)+$", "a" * 60 + "b")'

            # Nobody is left who could look, nor who would start another one.
            os.kill(service.process.pid, signal.SIGKILL)
            os.kill(sibling, signal.SIGKILL)
            told = as_nobody(service, "dump", service.target, "--worker", str(pid))
            assert f"worker {pid} · " in told.stdout, told
            assert "faulthandler, asked by perftui itself" in told.stdout
            assert "app.py" in told.stdout
            assert " regex" in told.stdout
    finally:
        shutil.rmtree(runtime, ignore_errors=True)


def as_nobody(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real command line as the user of the service."""
    command = [*AS_NOBODY, sys.executable, "-m", "perftui", *arguments]
    return subprocess.run(
        command, env=service.env, capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )
