"""Whatever happens amid an action, it ends with a clear result, and nothing stays switched on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.flow.test_functions import Mixed
from tests.support import command
from tests.support.servers import Service, running, wait_until, write_app

SHOP = """
    import asyncio, os, sys, threading, tracemalloc
    from fastapi import FastAPI
    from perftui_agent import instrument

    app = instrument(FastAPI(), service="shop")

    @app.get("/report")
    async def report():
        sum(i * i for i in range(20_000))
        await asyncio.sleep(0.2)
        return "report"

    @app.get("/state")
    async def state():
        return {
            "pid": os.getpid(),
            "tracing": tracemalloc.is_tracing(),
            "profiled": sys.getprofile() is not None,
            "sampled": any(thread.name == "perftui-sampler" for thread in threading.enumerate()),
            "switches": sys.getswitchinterval() < 0.005,
            "led": asyncio.get_running_loop().get_task_factory() is not None,
        }
"""

ACTIONS = (
    ("functions", "--route", "GET /report", "--requests", "1000", "--for", "240s"),
    ("profile", "--engine", "sampler", "--for", "240s"),
    ("profile", "--engine", "py-spy", "--for", "240s"),
    ("memory", "--for", "240s"),
)
"""One for each worker, none of which ends by itself soon."""

SAYS_SO_WITHIN_S = 75.0
"""The longest silence that is waited for is a minute: two snapshots of millions of objects are compared."""


BEGUN_WITHIN_S = 90.0
"""Four clients that start, two profilers and a memory watch at once take a busy machine that long."""


class Under:
    """Each worker of a service with an action under way, and the clients that have asked for them."""

    def __init__(
        self, service: Service, pids: Sequence[int], clients: Sequence[subprocess.Popen[str]]
    ) -> None:
        self.service = service
        self.pids = pids
        self.clients = clients

    def results(self) -> list[tuple[int, str]]:
        """Return each client's exit code and what it said, when all of them have ended."""
        until = time.monotonic() + SAYS_SO_WITHIN_S
        ended = []
        for client in self.clients:
            _, said = client.communicate(timeout=max(until - time.monotonic(), 0.1))
            ended.append((client.returncode, said))
        return ended


@contextlib.contextmanager
def actions_under_way(service: Service) -> Iterator[Under]:
    """Have every worker do something else, until its client has said that it began."""
    pids = service.wait_registered()
    assert len(pids) == len(ACTIONS)
    clients = [
        command.Forked(verb, service.target, "--worker", str(pid), *options, env=service.env)
        for pid, (verb, *options) in zip(pids, ACTIONS, strict=True)
    ]
    try:
        states = [dict.fromkeys(("led", "sampled"), False)]

        def begun() -> bool:
            states[:] = whole_state(service)
            spies = spies_of(pids)
            return (
                bool(spies)
                and any(state["led"] for state in states)
                and any(state["sampled"] for state in states)
                and any(state["tracing"] for state in states)
            )

        wait_until(
            begun,
            "all actions to begin",
            lambda: f"{states} {[client.poll() for client in clients]}",
            BEGUN_WITHIN_S,
        )
        yield Under(service, pids, clients)
    finally:
        for client in clients:
            client.kill()
            client.communicate()


def whole_state(service: Service) -> list[dict[str, Any]]:
    """Return what each worker says of itself; a new connection each time leads to another of them."""
    states: dict[int, dict[str, Any]] = {}
    until = time.monotonic() + BEGUN_WITHIN_S
    while len(states) < len(ACTIONS) and time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            (answer,) = service.get("/state")
            states[answer.json()["pid"]] = answer.json()
    assert len(states) == len(ACTIONS)
    return list(states.values())


def spies_of(pids: Sequence[int]) -> list[psutil.Process]:
    """Return the processes of py-spy that look at one of these."""
    wanted, found = {str(pid) for pid in pids}, []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if any("py-spy" in word for word in words[:2]) and wanted & set(words):
                found.append(process)
    return found


def is_clean(service: Service, pids: Sequence[int]) -> bool:
    """Tell whether nothing is stopped, traced, sampled or measured, and no process of ours is left."""
    family = psutil.Process(service.process.pid).children(recursive=True)
    if spies_of(pids) or any(
        _status(each) in {psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED} for each in family
    ):
        return False
    switched_on = {"tracing", "profiled", "sampled", "switches", "led"}
    return not any(state[key] for state in whole_state(service) for key in switched_on)


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD


def test_whatever_happens_amid_an_action_it_ends_and_nothing_stays_on(tmp_path: Path) -> None:
    """Its client is killed, its worker is stopped, its worker is killed and replaced: each of the four."""
    app = write_app(tmp_path, SHOP)
    # A stopped worker is to be there still when its client has given up. uvicorn's supervisor, told to be as
    # patient, may ask a worker just before that is killed, and waits for its answer all that time.
    patient = running(app, server="gunicorn", workers=len(ACTIONS), options=["--timeout", "300"])
    with patient as service, Mixed(service, ("/report",)):
        with actions_under_way(service) as under:
            for client in under.clients:
                client.kill()
            wait_until(
                lambda: is_clean(service, under.pids), "the killed clients' actions to end", service.log
            )

        with actions_under_way(service) as under:
            for pid in under.pids:
                os.kill(pid, signal.SIGSTOP)
            try:
                results = under.results()
            finally:
                for pid in under.pids:
                    os.kill(pid, signal.SIGCONT)
            for pid, (code, said) in zip(under.pids, results, strict=True):
                assert code == 2
                assert f"worker {pid}: worker {pid} did not answer within" in said
                assert "Traceback" not in said
            wait_until(
                lambda: is_clean(service, under.pids), "the actions of the stopped to end", service.log
            )

        with actions_under_way(service) as under:
            began = time.monotonic()
            for pid in under.pids:
                os.kill(pid, signal.SIGKILL)
            for pid, (code, said) in zip(under.pids, under.results(), strict=True):
                assert code == 2
                assert f"worker {pid}: " in said
                assert "Traceback" not in said
            assert time.monotonic() - began < SAYS_SO_WITHIN_S / 2
            wait_until(
                lambda: len(set(service.registered_pids()) - set(under.pids)) == len(ACTIONS),
                "new workers",
                service.log,
            )
            wait_until(lambda: is_clean(service, under.pids), "nothing to be left", service.log)
