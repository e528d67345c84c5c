"""How a process stands, and the way back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perftui_agent.inspect.process_state import (
    read_state,
    resume_if_left_stopped,
    stopping_in,
    threads_in,
    tracer_of,
)
from tests.agent.inspect.processes import eventually, is_held, python, started, stop

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

READY = "print('ready', flush=True); input()"


def test_odd_name(tmp_path: Path) -> None:
    """A process whose name looks like more of the line is read all the same."""
    program = tmp_path / "a) Z 1 ("
    program.symlink_to("/bin/sleep")
    with started([str(program), "600"], ready=False) as process:
        eventually(lambda: (state := read_state(process.pid)) and state.letter == "S")


def test_gone() -> None:
    """There is no state of a process that is gone, that isn't reaped, or that never was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    eventually(lambda: read_state(process.pid) is None)
    process.wait(30)

    assert [read_state(pid) for pid in (process.pid, 0, -1, 2**40)] == [None] * 4
    assert (threads_in(process.pid, "S"), tracer_of(process.pid, process.pid)) == (set(), 0)


def test_left_stopped(tmp_path: Path) -> None:
    """A process that was running before and is stopped now is set going."""
    with python(READY, tmp_path) as process:
        before = read_state(process.pid)
        assert before is not None
        stop(process.pid)
        said = resume_if_left_stopped(before)
        eventually(lambda: not is_held(process.pid))

    assert said == f"pid {process.pid} was left stopped: sent SIGCONT"


def test_about_to_stop(tmp_path: Path) -> None:
    """A stop that has been sent is ended as well, before the process has come to obey it."""
    # Who waits for the child of a vfork is not woken by a stop: it will obey once that is over.
    code = """\
        import ctypes, time
        libc = ctypes.CDLL(None)
        print("ready", flush=True)
        libc.vfork()
        time.sleep(600)
    """
    with python(code, tmp_path) as process:
        eventually(lambda: (state := read_state(process.pid)) and state.letter == "D")
        before = read_state(process.pid)
        assert before is not None
        os.kill(process.pid, signal.SIGSTOP)
        assert stopping_in(process.pid) == {process.pid}
        said = resume_if_left_stopped(before)
        assert stopping_in(process.pid) == set()

    assert said == f"pid {process.pid} was left stopped: sent SIGCONT"
    assert stopping_in(process.pid) == set()


def test_running(tmp_path: Path) -> None:
    """A process that runs needs nothing."""
    with python(READY, tmp_path) as process:
        before = read_state(process.pid)
        assert before is not None
        assert resume_if_left_stopped(before) == ""

    assert resume_if_left_stopped(before) == ""


def test_another_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal is sent to a process that only has the pid of the one before."""
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(pid))
    with python(READY, tmp_path) as process:
        before = read_state(process.pid)
        assert before is not None
        os.killpg(process.pid, signal.SIGSTOP)
        eventually(lambda: is_held(process.pid))
        said = resume_if_left_stopped(type(before)(before.pid, before.letter, before.started - 1))

    assert (said, sent) == ("", [])


def test_held_by_another_tracer(tmp_path: Path) -> None:
    """A process that another tracer holds is left to it."""
    tracer = """\
        import ctypes, os, sys
        libc = ctypes.CDLL(None, use_errno=True)
        PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
        assert libc.ptrace(PTRACE_SEIZE, PID, 0, 0) == 0
        assert libc.ptrace(PTRACE_INTERRUPT, PID, 0, 0) == 0
        os.waitpid(PID, 0x40000000)
        print("ready", flush=True)
        sys.stdin.read()
    """
    with python(READY, tmp_path) as process:
        before = read_state(process.pid)
        assert before is not None
        with python(tracer.replace("PID", str(process.pid)), tmp_path, "tracer.py") as other:
            assert tracer_of(process.pid, process.pid) == other.pid
            said = resume_if_left_stopped(before)
            assert is_held(process.pid)

    assert said == f"pid {process.pid} is held by another tracer, pid {other.pid}"
