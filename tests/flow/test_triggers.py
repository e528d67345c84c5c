"""Triggers on a real service: what they take, their limits, and what outlives the worker."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers import Service, running, wait_until, write_app

APP = """
import logging
import time
from fastapi import FastAPI
from perftui_agent import instrument

logging.basicConfig(level=logging.INFO)
TRIGGER = "GET /slow: p95>100ms for 2s: profile 2s, dump, at most 1/h"
app = instrument(FastAPI(title="shop"), triggers=[TRIGGER, "errors>50%: dump"])

def busy() -> None:
    until = time.perf_counter() + 0.2
    while time.perf_counter() < until:
        pass

@app.get("/slow")
async def slow() -> dict[str, str]:
    busy()
    return {}
"""


CLIENTS = 3
"""One request is always waiting while another is answered, however late a client gets a processor."""


@contextmanager
def load(service: Service) -> Iterator[None]:
    """Ask for the slow route all the time."""
    done = threading.Event()

    def ask() -> None:
        with service.client() as client:
            while not done.is_set():
                client.get("/slow")

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        done.set()
        for client in clients:
            client.join()


def evidence(service: Service, *arguments: str) -> Any:
    done = service.perftui("evidence", *arguments, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def taken(service: Service) -> list[dict[str, Any]]:
    return [each for each in evidence(service)["evidence"] if each["outcome"] == "taken"]


def test_a_trigger_fires_once_and_what_it_took_outlives_the_worker(tmp_path: Path) -> None:
    """A profile and a dump of the moment, told while it lives, opened after `kill -9`; the limit holds."""
    with running(write_app(tmp_path, APP), workers=1) as service:
        (pid,) = service.wait_registered()
        with load(service):
            wait_until(lambda: len(taken(service)) == 2, "the evidence of one firing", service.log)
            before = json.loads(service.perftui("snapshot", service.target, "--for", "5s", "--json").stdout)
        log = service.log()
        os.kill(pid, signal.SIGKILL)
        service.process.wait(10)
        left = taken(service)
        profile = evidence(service, str(left[0]["number"]))
        dump = service.perftui("evidence", str(left[1]["number"]))
        svg = tmp_path / "flame.svg"
        service.perftui("evidence", str(left[0]["number"]), "-o", str(svg))

    assert [(each["pid"], each["result"]) for each in left] == [(pid, "profile"), (pid, "dump")]
    assert left[0]["trigger"] == "GET /slow: p95>100ms for 2s: profile 2s, dump, at most 1/h"
    assert left[0]["text"].startswith("GET /slow: p95 was ")
    assert "busy" in left[0]["where"]
    fired = [each for each in before["incidents"] if each["kind"] == "trigger"]
    assert [each["ongoing"] for each in fired] == [False, False]
    assert profile["engine"] == "sampler"
    assert profile["routes"]["GET /slow"] > 0
    assert "slow" in dump.stdout
    assert b"busy" in svg.read_bytes()
    assert f"profile of pid {pid} for trigger GET /slow: p95>100ms for 2s: " in log


def test_switched_off_actions_are_said_in_the_place_of_evidence(tmp_path: Path) -> None:
    """PERFTUI_ACTIONS=0 turns triggers off as it does clients, and whoever looks is told."""
    env = {"PERFTUI_ACTIONS": "0", "PERFTUI_TRIGGERS": "rps>=0: dump"}
    app = APP.replace(', triggers=[TRIGGER, "errors>50%: dump"]', "")
    with running(write_app(tmp_path, app), workers=1, env=env) as service:
        service.wait_registered()
        wait_until(lambda: any(each["outcome"] for each in evidence(service)["evidence"]), "it to fire")
        (refused,) = evidence(service)["evidence"]
        shown = json.loads(service.perftui("snapshot", service.target, "--for", "1s", "--json").stdout)

    assert refused["outcome"] == "refused"
    assert "actions are switched off in this service" in refused["how"]
    assert refused["result"] is None
    assert shown["workers"][0]["probes"]["triggers"] == "off: actions are switched off"
