"""Where clients look for workers."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from perftui.sources import discovery
from perftui.sources.discovery import directories, discover
from perftui_agent.wire.frames import WIRE_VERSION
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.registration import Registration


@pytest.mark.parametrize("empty", [True, False])
def test_root_looks_at_the_services_of_all_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty: bool
) -> None:
    """An empty variable says nothing, as none at all."""
    theirs = tmp_path / "perftui-1000"
    theirs.mkdir()
    monkeypatch.setattr(discovery, "_OTHER_USERS", (f"{tmp_path}/perftui-*",))
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.delenv("PERFTUI_RUNTIME_DIR", raising=False)
    if empty:
        monkeypatch.setenv("PERFTUI_RUNTIME_DIR", "")
    assert theirs in directories()


def test_a_runtime_directory_that_is_named_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For root as for anyone."""
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(tmp_path))
    assert directories() == [tmp_path]


def test_a_worker_of_another_machine_is_named_and_not_listed(tmp_path: Path) -> None:
    """Its socket can't be reached from here, whoever listens there: that is said, once for each."""
    tmp_path.chmod(0o700)
    worker = WorkerIdentity(
        host="web-2",
        pid=7,
        started_at=1.0,
        service="shop",
        supervisor_pid=1,
        start_ticks=5,
        boot_id="another",
        pid_namespace="1",
    )
    entry = Registration(wire=WIRE_VERSION, worker=worker, socket=str(tmp_path / "7.sock"))
    (tmp_path / "7.json").write_bytes(msgspec.json.encode(entry))
    found = discover([tmp_path])
    assert found.registrations == ()
    assert found.elsewhere == ("worker 7 of shop runs on another machine, or did: host web-2",)
