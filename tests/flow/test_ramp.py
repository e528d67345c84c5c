"""`perftui ramp` on real services: what was planted is named, and what must not be loaded is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.support import command
from tests.support.limited import LIMITED
from tests.support.quota import first_served
from tests.support.servers import Service, running, wait_until, write_app


def test_a_pool_of_two_is_named_with_its_knee_and_its_mend(tmp_path: Path) -> None:
    """Two connections of 50 ms give forty requests a second at best; no connection is left open."""
    # Of a worker that gets half of what it wants, connections are held for twice as long: that is no pool's.
    with first_served(), running(write_app(tmp_path, LIMITED["pool"]), workers=1) as service:
        service.wait_registered()
        done = subprocess.run(
            [sys.executable, "-m", "perftui", "ramp", service.target, "GET /x", "--json", "--from", "20",
             "--max", "100", "--until", "p95<400ms", "--step", "1.5s", "-o", str(tmp_path / "ramp.perftui")],
            env=service.env, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert not _connections_to(service)
        kept = service.perftui("snapshot", str(tmp_path / "ramp.perftui"), "--json")
        assert json.loads(kept.stdout)["totals"]["requests"] > 100
    assert told["limit"]["kind"] == "pool", (told["limit"], told["next"], told["steps"][-3:])
    assert "pool 2 →" in told["limit"]["advice"]
    low, high = told["bracket"]
    assert low < told["knee_rps"] < high
    assert told["knee_rps"] <= 45
    assert {"rate", "sent", "done", "errors", "p95_ms", "queue_p95_ms", "saturation"} <= set(told["steps"][0])
    assert told["steps"][-1]["saturation"]["pool"] <= 1
    assert "must hold: p95<400ms" in done.stderr


def test_a_service_that_says_production_is_sent_nothing(tmp_path: Path) -> None:
    """Nor is one asked for what can't be sent; each is told in two lines."""
    env = {"APP_ENV": "production"}
    with running(write_app(tmp_path, LIMITED["loop"]), workers=1, env=env) as service:
        service.wait_registered()
        refused = service.perftui("ramp", service.target, "GET /x")
        wrong = service.perftui("ramp", service.target, "FETCH /x")
        snapshot = json.loads(service.perftui("snapshot", service.target, "--for", "1s", "--json").stdout)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "APP_ENV=production" in refused.stderr
    assert wrong.returncode == 2
    assert "FETCH is none of" in wrong.stderr
    assert snapshot["totals"]["requests"] == 0


def test_ctrl_c_ends_it_at_once_and_tells_what_is_known(tmp_path: Path) -> None:
    """Nothing is sent any more, the sender is gone, and the exit code says interrupted."""
    with running(write_app(tmp_path, LIMITED["loop"]), workers=1) as service:
        service.wait_registered()
        env = os.environ | {"PERFTUI_RUNTIME_DIR": str(service.runtime_dir)}
        with command.Forked("ramp", service.target, "GET /x", "--max", "20", "--json", env=env) as ramp:
            family = psutil.Process(ramp.pid)
            wait_until(lambda: ramp.poll() is not None or bool(_connections_to(service)), "a request")
            assert ramp.poll() is None, ramp.communicate()
            senders = family.children(recursive=True)
            ramp.send_signal(signal.SIGINT)
            began = time.monotonic()
            out, err = ramp.communicate(timeout=60)
            assert time.monotonic() - began < 10
        assert not _connections_to(service)
        assert not [each for each in senders if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert ramp.returncode == 130, err
    assert json.loads(out)["ended"] == "interrupted"


def _connections_to(service: Service) -> list[int]:
    """Return the ports from which somebody is connected to the service."""
    found = psutil.net_connections("tcp")
    mine = [each for each in found if each.status == psutil.CONN_ESTABLISHED and each.raddr and each.laddr]
    return [each.laddr.port for each in mine if each.laddr and each.raddr and each.raddr.port == service.port]
