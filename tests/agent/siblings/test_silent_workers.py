"""Real workers that fall silent: what is told of them, whether they go on or are ended for it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from perftui_agent.siblings.account import KIND
from perftui_agent.siblings.verdict import STARVED
from perftui_agent.wire.boxes import read_box
from perftui_agent.wire.codec import WireError
from perftui_agent.wire.incidents import Evidence
from tests.support.servers import Server, Service, running, wait_until, write_app

SOURCE = """
    import ctypes, os, re, time
    from fastapi import FastAPI
    from perftui_agent import instrument

    app = FastAPI()
    instrument(app, service="shop")
    SLOW = re.compile(r"(a+)+$")

    def match(text):
        return SLOW.match(text)

    @app.get("/rx/{n}")
    async def rx(n: int):
        return bool(match("a" * n + "b"))

    @app.get("/hold/{seconds}")
    async def hold(seconds: int):
        return ctypes.PyDLL(None).sleep(seconds)

    @app.get("/import")
    async def imports():
        import heavy

        return heavy.__name__

    @app.get("/compute/{seconds}")
    async def compute(seconds: float):
        for n in range(16, 60):
            took = -time.thread_time()
            match("a" * n + "b")
            if took + time.thread_time() > seconds / 4:
                return bool(match("a" * (n + 2) + "b"))

    @app.get("/pid")
    async def pid():
        return os.getpid()
"""

ENDLESS = "/rx/60"
"""Takes years."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("app")
    (folder / "heavy.py").write_text("import ctypes\nctypes.PyDLL(None).sleep(3)\n")
    return write_app(folder, SOURCE)


def ask(service: Service, path: str) -> threading.Thread:
    """Ask for a path, whatever comes of it."""

    def get() -> None:
        try:
            httpx.get(service.url + path, timeout=60, trust_env=False)
        except httpx.HTTPError:
            return

    thread = threading.Thread(target=get, daemon=True)
    thread.start()
    return thread


def kept(service: Service) -> list[Evidence]:
    """Return what lies in the black boxes of silences, the latest of each."""
    found: dict[str, Evidence] = {}
    for box in service.runtime_dir.glob("*.ring"):
        try:
            _, frames = read_box(box)
        except (OSError, WireError):  # of a worker that just comes, or goes
            continue
        for frame in frames:
            found |= {each.id: each for each in frame.evidence if each.kind == KIND}
    return list(found.values())


def snapshot(service: Service) -> dict[str, Any]:
    told = service.perftui("snapshot", service.target, "--for", "1s", "--json")
    assert told.returncode == 0, told.stderr
    document: dict[str, Any] = json.loads(told.stdout)
    return document


def told_of(
    service: Service, which: Callable[[Evidence], bool] = lambda _: True, within_s: float = 30.0
) -> Evidence:
    """Wait until something is told, and return it."""
    wait_until(lambda: any(map(which, kept(service))), "a silent worker to be told of", service.log, within_s)
    [found] = filter(which, kept(service))
    return found


def told_of_computing(service: Service) -> Evidence:
    """Have it compute until it is told of; where it hardly gets to among others, it is starved, and again."""
    for _ in range(4):
        known = {each.id for each in kept(service)}
        ask(service, "/compute/2.5").join()
        told = told_of(service, lambda each: each.how.startswith("fault") and each.id not in known)  # noqa: B023
        if told.verdict != STARVED:
            break
    return told


def ended_in_its_silence(service: Service) -> tuple[int, Evidence]:
    """Have the only worker be ended and told of; who hardly got to run till then has written nothing."""
    for within_s in (5.0, 5.0, 30.0):
        [before] = service.wait_registered()
        ask(service, ENDLESS)
        wait_until(lambda: service.registered_pids() not in ([], [before]), "another", service.log)  # noqa: B023
        with suppress(AssertionError):
            return before, told_of(service, lambda each: each.outcome == "ended", within_s)
    raise AssertionError(f"none is told of that was ended\n{service.log()}")


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def service(app: str, request: pytest.FixtureRequest) -> Iterator[Service]:
    server: Server = request.param
    with running(app, server=server, workers=2) as service:
        service.wait_registered()
        yield service


def test_a_regex_that_holds_the_gil_is_named_though_its_worker_is_ended_for_it(app: str) -> None:
    """uvicorn ends it after five seconds; who looks only then reads the line, the route and who ended it."""
    with running(app, workers=2) as service:
        before = service.wait_registered()
        asked_at = time.time()
        ask(service, ENDLESS)
        told = told_of(service, lambda each: each.outcome == "ended")
        gone = set(before) - set(service.pids())
        assert told.taken_at is not None
        assert told.taken_at / 1e9 - told.at / 1e9 < 3.5
        assert abs(told.at / 1e9 - asked_at) < 1.5
        document = snapshot(service)
    [incident] = [each for each in document["incidents"] if each["kind"] == "worker-silent"]
    assert {incident["pid"]} == gone
    assert (incident["verdict"], incident["where"]) == ("hung", "app.py:11 match")
    assert incident["route"] == "GET /rx/{n}"
    [evidence] = [each for each in document["evidence"] if each["kind"] == KIND]
    assert evidence["ended_by"] == f"uvicorn (pid {service.process.pid})"
    assert evidence["outcome"] == "ended"
    assert [each["route"] for each in evidence["in_flight"]] == ["GET /rx/{n}"]


def test_one_that_goes_on_was_looked_at_all_the_same(service: Service) -> None:
    """C code that sleeps with the GIL: a sibling says in which line, and then that it is over."""
    ask(service, "/hold/3").join()
    # On a crowded machine a worker may be silent for something else as well.
    told = told_of(
        service,
        lambda each: (each.outcome, each.verdict) == ("went on", "hung") and each.where.endswith("hold"),
    )
    assert told.route == "GET /hold/{seconds}"
    assert 2.5e9 < told.ns < 4e9


def test_one_that_imports_is_starved_and_hangs_in_no_line(service: Service) -> None:
    """It needs more patience, not another line of code."""
    ask(service, "/import").join()
    told = told_of(service, lambda each: each.outcome == "went on" and each.verdict == "starved")
    assert told.where == "heavy.py:2 <module>"
    assert "it was importing" in told.text


def test_promise_23_one_that_was_stopped_is_said_to_be_stopped_and_left_as_it_was(service: Service) -> None:
    """Whoever has stopped it has done so on purpose: it is not let go on, and no line is to blame."""
    pid = service.registered_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        told = told_of(service, lambda each: each.verdict == "stopped")
        assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert f"/{pid}/" in told.worker


def test_one_that_is_alone_tells_of_its_own_silence_when_it_goes_on(app: str) -> None:
    """Nobody can look: it sees what only waited with the GIL afterwards, and has written what computed."""
    with running(app, workers=1) as service:
        service.wait_registered()
        # What it has slept short of: nothing that it waits in is interrupted.
        assert service.get("/hold/4")[0].json() == 0
        told = told_of(service, lambda each: each.outcome == "went on")
        assert (told.verdict, told.how) == ("hung", "python by itself")
        assert told.where.endswith("hold")
        assert told.route == "GET /hold/{seconds}"

        told = told_of_computing(service)
        assert (told.verdict, told.where) == ("hung", "app.py:11 match")
        assert told.route == "GET /compute/{seconds}"

        [pid] = service.registered_pids()
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(pid, signal.SIGCONT)
        told = told_of(service, lambda each: each.verdict == "stopped")
        assert (told.outcome, told.where) == ("went on", "")


def test_one_that_is_alone_and_ended_for_its_silence_is_told_of_by_who_takes_its_place(app: str) -> None:
    """gunicorn ends it and starts another, which finds what it has left."""
    with running(app, server="gunicorn", workers=1, options=["--timeout", "6"]) as service:
        before, told = ended_in_its_silence(service)
        found = snapshot(service)
    assert f"/{before}/" in told.worker
    assert (told.verdict, told.where, told.route) == ("hung", "app.py:11 match", "GET /rx/{n}")
    assert told.ended_by == f"gunicorn (pid {service.process.pid})"
    [lost] = [each for each in found["findings"] if each["kind"] == "worker-restarted"]
    assert "hung in app.py:11 match" in lost["sentence"]


def test_a_service_that_is_well_tells_of_nothing(service: Service) -> None:
    """Nobody is silent who is asked nothing, or much."""
    wait_until(lambda: all(each.outcome for each in kept(service)), "what was silent to go on")
    before = len(kept(service))
    service.get("/pid", times=50)
    time.sleep(2.5)
    assert len(kept(service)) == before
    assert list(service.runtime_dir.glob("*.claim")) == []
