"""Promises 7 and 21: who a worker is, and whether it lives, is told by what no clock moves."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from perftui_agent.wire import lives
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.lives import (
    file_stem,
    has_agent,
    judge,
    judge_name,
    own_start_ticks,
    running_start_ticks,
)
from tests.support.servers import private_dir


def me(**changes: object) -> WorkerIdentity:
    """Return this process as a worker."""
    place = lives.here()
    identity = WorkerIdentity(
        host="box",
        pid=os.getpid(),
        started_at=1.0,
        service="shop",
        supervisor_pid=1,
        start_ticks=own_start_ticks(),
        boot_id=place.boot_id,
        pid_namespace=place.pid_namespace,
    )
    return replace(identity, **changes)


@dataclass(frozen=True, slots=True)
class Door:
    """A Unix socket's path, and who listens there."""

    path: str
    socket: socket.socket


@pytest.fixture
def door() -> Iterator[Door]:
    directory = private_dir()
    path = directory / "w.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        yield Door(str(path), listener)
    path.unlink(missing_ok=True)
    directory.rmdir()


def test_life_does_not_hang_on_a_start_by_the_clock(door: Door) -> None:
    """The wall clock, and the moment of the boot that the system works out from it, may be moved at will."""
    for off in (-600.0, -1.0, 0.0, 1.0, 86_400.0):
        assert judge(me(started_at=1.7e9 + off), "/nowhere") == "alive"
        assert me(started_at=1.7e9 + off).id == me().id, "nor does identity"


def test_a_recycled_pid_is_another_life(door: Door) -> None:
    """However little later it began."""
    recycled = me(start_ticks=own_start_ticks() - 1)
    assert judge(recycled, door.path) == "dead"
    assert recycled.id != me().id
    assert judge_name(file_stem(recycled)) == "dead"
    assert judge_name(file_stem(me())) == "alive"


def test_the_dead_and_those_that_nobody_has_buried_are_dead() -> None:
    """A zombie serves nobody."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        ticks = running_start_ticks(process.pid)
        assert ticks
        worker = me(pid=process.pid, start_ticks=ticks)
        assert judge(worker, "/nowhere") == "alive"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert judge(worker, "/nowhere") == "dead"
    assert judge(worker, "/nowhere") == "dead"


def test_where_no_place_can_be_told_from_another_the_socket_tells(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sandbox that shows neither boot nor namespace a pid that is not here may be another's."""
    monkeypatch.setattr(lives, "here", lives.Place)
    worker = me(pid=2**22)
    assert judge(me(), "/nowhere") == "alive"
    assert judge(worker, door.path) == "alive"
    assert judge(worker, "/nowhere") == judge_name(file_stem(worker)) == "unknown"
    assert judge_name(file_stem(me())) == "alive"
    door.socket.close()
    assert judge(worker, door.path) == "dead"


def test_in_another_pid_namespace_the_socket_tells(door: Door) -> None:
    """Who answers lives; who has left a socket that refuses is dead; without a socket it may come again."""
    worker = me(pid_namespace="1", pid=2**22)
    assert judge(worker, door.path) == "alive"
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        for client in (one, other):
            client.setblocking(False)
            client.connect_ex(door.path)
        assert judge(worker, door.path) == "alive", "others wait at the door"
    door.socket.close()
    assert judge(worker, door.path) == "dead"
    Path(door.path).unlink()
    assert judge(worker, door.path) == "unknown"
    assert judge_name(file_stem(worker)) == "unknown"


def test_of_another_machine_nothing_is_known(door: Door) -> None:
    """A socket on a shared disk refuses here whoever listens there."""
    door.socket.close()
    assert judge(me(boot_id="another"), door.path) == "unknown"
    assert me(boot_id="another").id != me().id


def test_a_proc_of_somebody_elses_says_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a new pid namespace it may still be that of the one outside: others have our pids there."""
    monkeypatch.setattr(lives, "sees_processes", lambda: False)
    assert judge(me(start_ticks=1), door.path) == "alive"
    assert judge_name(file_stem(me(start_ticks=1))) == "unknown"


def test_where_there_are_no_ticks_the_start_by_the_clock_tells() -> None:
    """As on macOS, where nothing moves it."""
    assert judge(me(start_ticks=0), "/nowhere") == "dead"
    assert file_stem(me(start_ticks=0)) == f"{os.getpid()}-1.00"
    assert me(start_ticks=0).id == f"box/{os.getpid()}/1.00"


def test_an_agent_is_seen_from_outside_by_its_thread() -> None:
    """Whether or not it can be found in any directory."""
    program = (
        "import threading\n"
        "from perftui_agent.inspect.ptrace import name_thread\n"
        "def live():\n    name_thread('perftui-agent')\n    print('there', flush=True)\n    input()\n"
        "threading.Thread(target=live).start()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert has_agent(process.pid)
        process.kill()
    assert not has_agent(process.pid)
    assert not has_agent(os.getpid())
