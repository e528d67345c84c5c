"""Dumps of real processes by the real py-spy."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from perftui_agent.inspect.dump import take_dump
from perftui_agent.inspect.process_state import read_state
from perftui_agent.inspect.pyspy import PySpy
from perftui_agent.wire.dumps import Dump, Refusal
from tests.agent.inspect.processes import (
    children,
    dumped_in,
    eventually,
    is_held,
    on_agent_thread,
    python,
    stop,
)

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

SLEEPS = """\
    import threading, time

    def wait_for_nothing():
        time.sleep(600)

    def beside():
        time.sleep(600)

    threading.Thread(target=beside, name="be\\x1b[31mside", daemon=True).start()
    print("ready", flush=True)
    wait_for_nothing()
"""

SPINS = """\
    def spin():
        number = 0
        while True:
            number += 1

    print("ready", flush=True)
    spin()
"""

HOLDS_THE_GIL = """\
    import re, threading, time

    def catastrophe():
        re.match(r"(a+)+$", "a" * 40 + "b")

    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    print("ready", flush=True)
    catastrophe()
"""

BLOCKED_IN_D_STATE = """\
    import os, sys

    def hang():
        # posix_spawn waits for its child, which waits for a writer that never comes: state D.
        actions = [(os.POSIX_SPAWN_OPEN, 9, sys.argv[0] + ".fifo", os.O_RDONLY, 0)]
        os.posix_spawn(sys.executable, [sys.executable], {}, file_actions=actions)

    os.mkfifo(sys.argv[0] + ".fifo")
    print("ready", flush=True)
    hang()
"""


def dump_of(pid: int, *, spy: PySpy | None = None, nonblocking: bool = False) -> Dump | Refusal:
    return on_agent_thread(
        lambda: take_dump("d1", pid, taken_by=os.getpid(), spy=spy, nonblocking=nonblocking)
    )


def dump_in(function: str, pid: int) -> Dump:
    return on_agent_thread(lambda: dumped_in(function, lambda: take_dump("d1", pid, taken_by=os.getpid())))


def test_sleeping(tmp_path: Path) -> None:
    """A dump names the function, the line and the code that a thread is at, main thread first."""
    with python(SLEEPS, tmp_path) as target:
        dump = dump_in("wait_for_nothing", target.pid)

    main, beside = dump.threads
    innermost = main.frames[0]
    assert (innermost.function, innermost.line) == ("wait_for_nothing", 4)
    assert (innermost.file, innermost.source) == (str(tmp_path / "program.py"), "time.sleep(600)")
    assert (main.frames[-1].function, main.is_main, main.name) == ("<module>", True, "MainThread")
    assert (main.os_thread_id, main.active, main.holds_gil) == (target.pid, False, False)
    assert (beside.frames[0].function, beside.is_main) == ("beside", False)
    assert (dump.id, dump.pid, dump.taken_by) == ("d1", target.pid, os.getpid())
    assert (dump.method, dump.note, dump.threads_cut) == ("py-spy", "", 0)


def test_names_are_clean(tmp_path: Path) -> None:
    """A thread's name can't bring an escape sequence to a terminal."""
    with python(SLEEPS, tmp_path) as target:
        dump = dump_in("wait_for_nothing", target.pid)

    assert dump.threads[1].name == "be[31mside"


def test_library_files_are_short(tmp_path: Path) -> None:
    """A file of a library is named from where it is imported."""
    with python(SLEEPS, tmp_path) as target:
        dump = dump_in("wait_for_nothing", target.pid)

    assert dump.threads[1].frames[-1].short_file == "threading.py"


def test_spinning(tmp_path: Path) -> None:
    """A thread that computes in Python is active and has the GIL."""
    with python(SPINS, tmp_path) as target:
        dump = dump_in("spin", target.pid)

    (main,) = dump.threads
    assert (main.frames[0].function, main.active, main.holds_gil) == ("spin", True, True)


def test_gil_held_in_c(tmp_path: Path) -> None:
    """A worker whose C code holds the GIL, and so can't answer itself, is dumped by a sibling."""
    with python(HOLDS_THE_GIL, tmp_path) as target:
        dump = dump_in("catastrophe", target.pid)

    main = dump.threads[0]
    assert [frame.function for frame in main.frames[-2:]] == ["catastrophe", "<module>"]
    assert (main.active, main.holds_gil) == (True, True)
    assert [thread.holds_gil for thread in dump.threads] == [True, False]


@linux
def test_stopped(tmp_path: Path) -> None:
    """A stopped process is dumped without a pause, the dump says so, and it stays stopped."""
    with python(SLEEPS, tmp_path) as target:
        dump_in("wait_for_nothing", target.pid)
        stop(target.pid)
        dump = dump_of(target.pid)
        state = read_state(target.pid)

    assert isinstance(dump, Dump)
    assert (dump.method, dump.note) == ("py-spy --nonblocking", "not paused: it is stopped already")
    assert dump.threads[0].frames[0].function == "wait_for_nothing"
    assert state is not None
    assert state.letter == "T"


@linux
def test_stopped_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop that comes between the look and the dump is someone else's and is left alone, too."""
    with python(SLEEPS, tmp_path) as target:
        running = read_state(target.pid)
        stop(target.pid)
        monkeypatch.setattr("perftui_agent.inspect.dump.read_state", lambda pid: running)
        dump = dump_of(target.pid)
        state = read_state(target.pid)

    assert isinstance(dump, Dump)
    assert dump.method == "py-spy --nonblocking"
    assert state is not None
    assert state.letter == "T"


@linux
def test_uninterruptible(tmp_path: Path) -> None:
    """A process that hangs in I/O is dumped without a pause, which would last as long as the I/O."""
    with python(BLOCKED_IN_D_STATE, tmp_path) as target:
        eventually(lambda: (state := read_state(target.pid)) and state.letter == "D")
        dump = dump_of(target.pid)

    assert isinstance(dump, Dump)
    assert dump.method == "py-spy --nonblocking"
    assert dump.note == f"not paused: thread {target.pid} is in I/O that can't be interrupted"
    assert dump.threads[0].frames[0].function == "hang"


@linux
def test_uninterruptible_unforeseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A py-spy that waits for a thread in I/O is ended, and the dump is taken without a pause."""
    monkeypatch.setattr("perftui_agent.inspect.ladder.threads_in", lambda pid, letters: set())
    with python(BLOCKED_IN_D_STATE, tmp_path) as target:
        eventually(lambda: (state := read_state(target.pid)) and state.letter == "D")
        dump = dump_of(target.pid, spy=PySpy(pause_limit_s=1.0))
        held = is_held(target.pid)

    assert isinstance(dump, Dump)
    assert dump.note == "not paused: a thread of it would not come to a stop"
    assert dump.threads[0].frames[0].function == "hang"
    assert not held


def test_nonblocking_as_asked(tmp_path: Path) -> None:
    """A client can ask that the process isn't paused, and the dump says that it wasn't."""
    with python(SLEEPS, tmp_path) as target:
        dump_in("wait_for_nothing", target.pid)
        dump = dump_of(target.pid, nonblocking=True)

    assert isinstance(dump, Dump)
    assert (dump.method, dump.note) == ("py-spy --nonblocking", "not paused, as asked")


def test_gone() -> None:
    """A process that has ended is refused as gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    refusal = dump_of(process.pid)

    assert isinstance(refusal, Refusal)
    assert refusal.reason == f"pid {process.pid} is gone"


def test_zombie() -> None:
    """A process that has ended and wasn't reaped is gone, too."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    refusal = dump_of(process.pid)
    process.wait(30)

    assert isinstance(refusal, Refusal)
    assert refusal.reason == f"pid {process.pid} is gone"


def test_not_python(sleeper: int) -> None:
    """A process that is no Python is refused after a second look."""
    refusal = dump_of(sleeper)

    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith(f"py-spy finds no Python in pid {sleeper}")
    assert refusal.advice == "dump again in a second"


def test_held_by_a_debugger(tmp_path: Path) -> None:
    """A process that another tracer holds is dumped without a pause."""
    tracer = """\
        import ctypes, sys
        libc = ctypes.CDLL(None, use_errno=True)
        PTRACE_SEIZE = 0x4206
        assert libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), 0, 0) == 0
        print("ready", flush=True)
        sys.stdin.read()
    """
    pytest.importorskip("ctypes")
    if not sys.platform.startswith("linux"):
        pytest.skip("ptrace of Linux")
    with python(SLEEPS, tmp_path) as target:
        dump_in("wait_for_nothing", target.pid)
        path = tmp_path / "tracer.py"
        with python(tracer.replace("sys.argv[1]", str(target.pid)), tmp_path, path.name):
            dump = dump_of(target.pid)

    assert isinstance(dump, Dump)
    assert (dump.method, dump.note) == ("py-spy --nonblocking", "not paused: another tracer holds it")


@linux
def test_killed_py_spy(tmp_path: Path) -> None:
    """py-spy killed at any moment leaves no thread of the process stopped."""
    chance = random.Random(13)
    with python(SLEEPS, tmp_path) as target:
        dump_in("wait_for_nothing", target.pid)
        spared = children()

        async def dump_with_a_murder() -> Dump | Refusal:
            dump = asyncio.create_task(take_dump("d", target.pid, taken_by=os.getpid()))
            await asyncio.sleep(chance.uniform(0.0, 0.05))
            for child in psutil.Process().children():
                if child.pid not in spared:
                    child.kill()
            return await dump

        answers = []
        for _ in range(15):
            answers.append(on_agent_thread(dump_with_a_murder))
            assert not is_held(target.pid)
        assert isinstance(dump_of(target.pid), Dump)

    assert {type(answer) for answer in answers} <= {Dump, Refusal}
    assert Refusal in {type(answer) for answer in answers}


@linux
def test_cancelled(tmp_path: Path) -> None:
    """A dump that is cancelled at any moment leaves no py-spy behind, and nothing stopped."""
    with python(SLEEPS, tmp_path) as target:

        async def cancel_after(wait_s: float) -> bool:
            dump = asyncio.create_task(take_dump("d", target.pid, taken_by=os.getpid()))
            await asyncio.sleep(wait_s)
            dump.cancel()
            await asyncio.wait([dump])
            return dump.cancelled()

        were_cancelled = []
        before = children()
        for milliseconds in (0, 2, 5, 8, 12, 16, 20):
            were_cancelled.append(on_agent_thread(partial(cancel_after, milliseconds / 1000)))
            assert children() == before
            assert not is_held(target.pid)

    assert any(were_cancelled)


@linux
def test_left_stopped(tmp_path: Path) -> None:
    """A process that is stopped in the course of a dump is set going again."""
    with python(SLEEPS, tmp_path) as target:
        dump_in("wait_for_nothing", target.pid)
        fake = tmp_path / "py-spy"
        fake.write_text(f"#!/bin/sh\nkill -STOP {target.pid}; echo '[]'\n")
        fake.chmod(0o755)
        refusal = dump_of(target.pid, spy=PySpy(str(fake)))
        eventually(lambda: not is_held(target.pid))

    assert isinstance(refusal, Refusal)


def test_recursion(tmp_path: Path) -> None:
    """Of a deep stack its two ends are kept, and the number of frames that were cut is told."""
    code = """\
        import sys, time
        sys.setrecursionlimit(3000)

        def down(depth):
            time.sleep(600) if depth == 0 else down(depth - 1)

        print("ready", flush=True)
        down(899)
    """
    with python(code, tmp_path) as target:
        dump = dump_in("down", target.pid)
        while dump.threads[0].frames_cut != 701:
            time.sleep(0.01)
            dump = dump_in("down", target.pid)

    (main,) = dump.threads
    assert len(main.frames) == 200
    assert (main.frames[0].function, main.frames[-1].function) == ("down", "<module>")


def test_many_threads(tmp_path: Path) -> None:
    """Beyond 500 threads the main thread is kept, and the number that was cut is told."""
    code = """\
        import threading, time
        threading.stack_size(256 * 1024)
        for _ in range(520):
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

        def wait_for_nothing():
            time.sleep(600)

        print("ready", flush=True)
        wait_for_nothing()
    """
    with python(code, tmp_path) as target:
        dump = dump_in("wait_for_nothing", target.pid)

    assert (len(dump.threads), dump.threads_cut) == (500, 21)
    assert dump.threads[0].is_main


def test_signals_are_untouched(tmp_path: Path) -> None:
    """A dump leaves the signal handlers of the process that takes it as they were."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    with python(SLEEPS, tmp_path) as target:
        dump_of(target.pid)

    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
