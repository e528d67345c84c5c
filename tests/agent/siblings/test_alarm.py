"""The alarm: a worker that nobody can look at writes its own stacks."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from perftui_agent.siblings.alarm import A_CPU_NS, AFTER_NS, REST_S, Alarm, rest_s, version_of, waits_ns
from perftui_agent.siblings.written import take_text
from perftui_agent.wire.stacks_on_signal import read_written
from tests.agent.inspect.processes import python, run_host, stop

COMPUTES = """
    import ctypes, faulthandler, os, re, signal, sys, threading, time
    from pathlib import Path
    from perftui_agent.inspect.on_signal import SignalledStacks
    from perftui_agent.siblings import alarm as alarms
    from perftui_agent.siblings.alarm import Alarm

    alarms.AFTER_NS, alarms.A_CPU_NS, alarms.PUT_OFF_NS = 500_000_000, 0, 50_000_000

    def compute(seconds=0.8):
        "In C code, with the GIL, for longer than the alarm waits."
        for size in range(10, 60):
            text = "a" * size + "b"
            took = -time.thread_time()
            re.match("(a+)+$", text)
            took += time.thread_time()
            if took > seconds / 4:
                break
        re.match("(a+)+$", "a" * (size + 2) + "b")

    stacks = SignalledStacks()
    alarm = Alarm(stacks.listens, RELEASE)
    said = stacks.look_after(Path(sys.argv[1]))
    alarm.look_after(said)
    print(alarm.status, flush=True)
"""

NEW, OLD = "'6.4.0'", "'5.15.0-generic'"


def size_of(path: Path) -> int:
    return path.stat().st_size


@pytest.mark.parametrize("release", [NEW, OLD], ids=["who runs is asked", "the main thread is asked"])
def test_stacks_are_written_while_c_code_holds_the_gil(tmp_path: Path, release: str) -> None:
    """By nobody's help; and the timer of `faulthandler` that the app has set is still the app's."""
    file, own = tmp_path / "x.stacks", tmp_path / "own"
    code = COMPUTES.replace("RELEASE", release) + (
        "    mine = open(sys.argv[2], 'w')\n"
        "    faulthandler.dump_traceback_later(0.1, file=mine)\n"
        "    compute()\n"
        "    alarm.end()\n"
        "    faulthandler.cancel_dump_traceback_later()\n"
        "    mine.close()\n"
    )
    assert run_host(code, tmp_path, str(file), str(own)) == ["on"]
    text = take_text(file)
    assert text is not None
    [thread] = read_written(text.data.decode()).threads
    assert thread.got_signal
    assert thread.frames[1].function == "compute" or thread.frames[0].function == "compute"
    assert "compute" in own.read_text()
    assert size_of(file) == 0


def test_it_is_the_thread_that_computes_which_writes(tmp_path: Path) -> None:
    """It holds the GIL: what it reads of others does not change meanwhile."""
    file = tmp_path / "x.stacks"
    code = COMPUTES.replace("RELEASE", NEW) + (
        "    thread = threading.Thread(target=compute)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "    alarm.end()\n"
    )
    run_host(code, tmp_path, str(file))
    text = take_text(file)
    assert text is not None
    [asked] = [thread for thread in read_written(text.data.decode()).threads if thread.got_signal]
    assert "compute" in [frame.function for frame in asked.frames]


def test_a_process_that_does_not_run_writes_nothing_when_it_goes_on(tmp_path: Path) -> None:
    """Its threads run Python from its first moment on, and their stacks would change as they are read."""
    file = tmp_path / "x.stacks"
    code = COMPUTES.replace("RELEASE", NEW) + (
        "    input()\n    alarm.put_off(time.monotonic_ns())\n    print('goes on', flush=True)\n    input()\n"
    )
    with python(code.replace("sys.argv[1]", repr(str(file))), tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stop(process.pid)
        time.sleep(0.8)
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"goes on\n"
        assert size_of(file) == 0
        process.stdin.close()


def test_one_that_is_put_off_writes_nothing(tmp_path: Path) -> None:
    """As long as the agent's thread beats, however busy the process is."""
    file = tmp_path / "x.stacks"
    code = COMPUTES.replace("RELEASE", NEW) + (
        "    while time.process_time() < 2:\n"
        "        sum(range(99))\n"
        "        alarm.put_off(time.monotonic_ns())\n"
        "    alarm.end()\n"
    )
    run_host(code, tmp_path, str(file))
    assert size_of(file) == 0


@pytest.mark.parametrize("last", ["alarm.disarm(); alarm.put_off(time.monotonic_ns() * 2)", "alarm.end()"])
def test_one_that_is_over_sends_nothing_to_a_process_that_does_not_listen_any_more(
    tmp_path: Path, last: str
) -> None:
    """The signal would end it: it computes for longer than the alarm waits, and ends as it means to."""
    code = COMPUTES.replace("RELEASE", NEW)
    code += f"    {last}\n    stacks.end()\n    compute()\n    print('ended well')\n"
    assert run_host(code, tmp_path, str(tmp_path / "x.stacks")) == ["on", "ended well"]


def test_an_app_that_sets_its_signals_back_is_not_ended_by_the_alarm(tmp_path: Path) -> None:
    """The next beat finds that nobody listens; once somebody does again, there is an alarm again."""
    code = COMPUTES.replace("RELEASE", NEW) + (
        "    signal.signal(said.signal, signal.SIG_DFL)\n"
        "    alarm.put_off(time.monotonic_ns() * 2)\n"
        "    alarm.look_after(said)\n"
        "    print(alarm.status)\n"
        "    compute()\n"
        "    alarm.look_after(stacks.look_after(Path(sys.argv[1])))\n"
        "    print(alarm.status)\n"
        "    alarm.end()\n"
        "    stacks.end()\n"
    )
    off = "off: there is no signal on which stacks are written"
    assert run_host(code, tmp_path, str(tmp_path / "x.stacks")) == ["on", off, "on"]


def test_without_a_signal_there_is_no_alarm() -> None:
    """Where actions are switched off, or the app has all signals."""
    alarm = Alarm(lambda: False)
    alarm.look_after(None)
    alarm.put_off(1)
    alarm.end()
    assert alarm.status.startswith("off")


def test_threads_that_take_turns_with_the_gil_are_no_hang(tmp_path: Path) -> None:
    """The more there are, the longer the agent's own may wait for its turn."""
    file = tmp_path / "x.stacks"
    code = COMPUTES.replace("RELEASE", NEW) + (
        "    alarms.AFTER_NS = 500_000_000\n"
        "    alarm.end()\n"
        "    ends = time.process_time() + 1.5\n"
        "    def work():\n"
        "        while time.process_time() < ends:\n"
        "            sum(range(99))\n"
        "    threads = [threading.Thread(target=work) for _ in range(20)]\n"
        "    for thread in threads: thread.start()\n"
        "    alarm.look_after(said)\n"
        "    for thread in threads: thread.join()\n"
        "    alarm.end()\n"
    )
    run_host(code, tmp_path, str(file))
    assert size_of(file) == 0
    assert waits_ns(21) > 2_000_000_000


@pytest.mark.parametrize("cpus", [1, 2, 8, 16, 64, 256])
def test_threads_that_need_no_gil_can_not_have_the_alarms_time_while_nothing_happens(cpus: int) -> None:
    """However many CPUs they have between two beats; one that hangs is told of while that is of use."""
    apart_s = rest_s(cpus)
    assert 0.05 <= apart_s <= REST_S
    assert apart_s * cpus < max(AFTER_NS, A_CPU_NS * cpus) / 1e9


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.44-generic", (6, 18)), ("5.15.0", (5, 15)), ("4.4.0-gvisor", (4, 4)), ("odd", (0, 0))],
)
def test_the_version_of_a_kernel_is_read_whatever_follows_it(release: str, version: tuple[int, int]) -> None:
    """One that can't be read is taken for an old one."""
    assert version_of(release) == version
