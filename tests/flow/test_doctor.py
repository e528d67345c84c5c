"""`perftui doctor` on real services."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.support.servers import Service, running, write_app

APP = """
from fastapi import FastAPI
from perftui_agent import instrument

app = instrument(FastAPI(title="shop"))

@app.get("/")
async def home() -> dict[str, str]:
    return {}
"""


def doctor(service: Service, *arguments: str) -> tuple[int, dict[tuple[str, int | None], dict[str, Any]]]:
    """Return the exit code, and each check by its name and worker."""
    done = service.perftui("doctor", *arguments, "--json")
    checks = json.loads(done.stdout)["checks"]
    return done.returncode, {(check["name"], check["worker"]): check for check in checks}


def test_each_worker_is_told_by_what_it_would_be_dumped(tmp_path: Path) -> None:
    """All well: exit 0, the rungs of each; one that is stopped: exit 1, and the sibling that could look."""
    with running(write_app(tmp_path, APP), workers=2) as service:
        one, other = service.wait_registered()
        well, checks = doctor(service, service.target)
        os.kill(one, signal.SIGSTOP)
        ill, stopped = doctor(service)
        os.kill(one, signal.SIGCONT)

    assert well == 0
    assert checks["dump", one]["sentence"].startswith("py-spy ")
    assert checks["dump if silent", one]["sentence"] == f"py-spy, which its sibling {other} starts"
    assert checks["profile", other]["verdict"] == "ok"
    assert ill == 1
    assert stopped["agent", one]["verdict"] == "wrong"
    assert stopped["dump if silent", one]["sentence"] == f"py-spy, which its sibling {other} starts"
    assert stopped["dump", other]["verdict"] == "ok"


def test_what_was_switched_off_is_found(tmp_path: Path) -> None:
    """PERFTUI_ACTIONS=0 is in the way of dumps, PERFTUI_ENABLED=0 of all else: each has a mend."""
    path = write_app(tmp_path, APP)
    with running(path, workers=1, env={"PERFTUI_ACTIONS": "0"}) as service:
        service.wait_registered()
        code, checks = doctor(service, service.target)
        (pid,) = service.registered_pids()
    with running(path, workers=1, env={"PERFTUI_ENABLED": "0"}) as service:
        no_agent, told = doctor(service, service.target)

    assert code == 1
    assert "instrument(app, actions=True)" in checks["actions", pid]["mend"]
    assert no_agent == 1
    assert told["target", None]["mend"] == "it was started with PERFTUI_ENABLED=0: start it without"


def test_a_target_that_can_not_be_read_is_no_judgement(tmp_path: Path) -> None:
    """Exit 2: nothing was examined."""
    with running(write_app(tmp_path, APP), workers=1) as service:
        done = service.perftui("doctor", "pid:none")

    assert (done.returncode, done.stdout) == (2, "")
