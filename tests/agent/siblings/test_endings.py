"""How a sibling ended is told by whoever saw it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.probes.machine.cgroup import Kills, read_kills
from perftui_agent.siblings.endings import Endings
from perftui_agent.siblings.neighbours import Neighbour, Neighbours
from perftui_agent.wire.endings import Ending, sentence
from perftui_agent.wire.frames import WIRE_VERSION
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.lives import running_start_ticks
from perftui_agent.wire.registration import Registration


def sibling(directory: Path, pid: int) -> Neighbour:
    """Return a worker that is registered."""
    worker = WorkerIdentity(
        host="box",
        pid=pid,
        started_at=0.0,
        service="shop",
        supervisor_pid=1,
        start_ticks=running_start_ticks(pid) or 0,
    )
    (directory / f"{pid}.json").touch()
    return Neighbour(Registration(wire=WIRE_VERSION, worker=worker, socket=""), directory, str(pid))


def told_of(directory: Path, code: str, *, kill: int = 0, in_order: bool = False) -> list[Evidence]:
    """Return what is told of a sibling that runs `code`, and is killed once it is known."""
    process = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE)

    async def scene() -> list[Evidence]:
        neighbours = Neighbours(sibling(directory, os.getpid()).worker, lambda: directory, list)
        neighbours.ring = [sibling(directory, process.pid)]
        tray, guard = EvidenceTray(), Guard()
        endings = Endings(neighbours, tray, guard)
        endings.glance(time.monotonic_ns())
        if in_order:
            (directory / f"{process.pid}.json").unlink()
        if kill:
            process.send_signal(kill)
        process.stdin.close()  # type: ignore[union-attr]
        await asyncio.to_thread(process.wait)
        await asyncio.sleep(0.2)
        endings.close()
        assert not guard.faults
        return tray.take()

    try:
        return asyncio.run(scene())
    finally:
        process.kill()
        process.wait()


WAIT = "import sys; sys.stdin.read()"


@pytest.mark.parametrize(
    ("code", "kill", "verdict", "told"),
    [
        (WAIT, signal.SIGKILL, "SIGKILL", "killed by SIGKILL, as by kill -9"),
        (WAIT, signal.SIGTERM, "SIGTERM", "ended by SIGTERM"),
        (f"{WAIT}; import os; os.abort()", 0, "SIGABRT", "crashed: abort() (SIGABRT)"),
        (f"{WAIT}; import os; os._exit(3)", 0, "exit 3", "exited with code 3"),
    ],
)
def test_an_end_is_told_by_its_signal_or_its_code(
    tmp_path: Path, code: str, kill: int, verdict: str, told: str
) -> None:
    """Although somebody else is its parent, and has reaped it."""
    (evidence,) = told_of(tmp_path, code, kill=kill)
    assert (evidence.kind, evidence.verdict, evidence.outcome) == ("worker-ended", verdict, "ended")
    assert evidence.text.startswith(told)


def test_who_has_withdrawn_its_entry_ended_in_order(tmp_path: Path) -> None:
    """A worker that stops as it should is no news."""
    assert told_of(tmp_path, WAIT, in_order=True) == []


def test_memory_is_blamed_where_the_counters_have_risen(tmp_path: Path) -> None:
    """That of the group in version 2 and 1, or else that of the host; what can't be read proves nothing."""
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text("0::/shop\n4:memory:/shop\n")
    (proc / "vmstat").write_text("pgfault 12\noom_kill 4\n")
    for file in ("sys/fs/cgroup/shop/memory.events", "sys/fs/cgroup/memory/shop/memory.oom_control"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("oom 2\noom_kill 1\n")
    before = read_kills(str(tmp_path))
    assert before == Kills(2, 4)
    (tmp_path / "sys/fs/cgroup/shop/memory.events").write_text("oom 2\noom_kill 2\n")
    after = read_kills(str(tmp_path))
    assert after.in_group_since(before)
    assert not after.on_host_since(before)
    assert not after.in_group_since(Kills(None, None))
    assert read_kills(str(tmp_path / "elsewhere")) == Kills(None, None)


def test_an_end_for_lack_of_memory_names_the_limit_and_the_score() -> None:
    """What the group may have, and how the kernel ranked the worker."""
    ending = Ending(signal=9, out_of_memory=True, limit_bytes=256_000_000, score=812)
    assert "memory group of 256 MB was full" in sentence(ending)
    assert "score for it was 812" in sentence(ending)
    assert "memory had not run out" not in sentence(Ending(signal=9))
    assert "memory had not run out" in sentence(Ending(signal=9, memory_known=True))
