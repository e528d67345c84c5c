"""A process that dumps itself from the agent's thread, as workers do."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.agent.inspect.processes import eventually, run_host

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs ptrace of Linux")

AGENT = """\
import asyncio, json, os, signal, subprocess, sys, threading, time
import msgspec
from perftui_agent.inspect.dump import take_dump
from perftui_agent.inspect.pyspy import PySpy

answers = []

def agent(spy=None):
    async def main():
        answers.append(await take_dump("d1", os.getpid(), taken_by=os.getpid(), spy=spy))
    asyncio.run(main())

def start_agent(spy=None):
    thread = threading.Thread(target=agent, args=(spy,), name="perftui-agent", daemon=True)
    thread.start()
    return thread

def tell(**more):
    print(json.dumps({"dump": msgspec.to_builtins(answers[0]), **more}), flush=True)
"""


def told(code: str, folder: Path) -> dict[str, Any]:
    answer = json.loads(run_host(AGENT + code, folder)[-1])
    assert isinstance(answer, dict)
    return answer


def functions(thread: dict[str, Any]) -> list[str]:
    return [frame["function"] for frame in thread["frames"]]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_beside_a_loop(tmp_path: Path, loop: str) -> None:
    """The agent's thread dumps its own worker, whose loop goes on afterwards."""
    if importlib.util.find_spec(loop) is None:
        pytest.skip(f"{loop} is not installed")
    answer = told(
        f"""
import {loop}
turns = 0
async def app():
    global turns
    thread = start_agent()
    while thread.is_alive():
        await asyncio.sleep(0.001)
        turns += 1
    before = turns
    await asyncio.sleep(0.001)
    process = await asyncio.create_subprocess_exec("true")
    tell(turns=turns - before, child=await process.wait())
{loop}.run(app())
""",
        tmp_path,
    )

    dump = answer["dump"]
    assert dump.get("method", "py-spy") == "py-spy"
    names = [thread["name"] for thread in dump["threads"]]
    assert names[0] == "MainThread"
    assert "perftui-agent" in names
    assert answer["child"] == 0


def test_blocked_loop(tmp_path: Path) -> None:
    """While the app blocks its loop, the agent still names the line that blocks it."""
    answer = told(
        """
async def handler():
    thread = start_agent()
    while thread.is_alive():
        time.sleep(0.01)
asyncio.run(handler())
tell()
""",
        tmp_path,
    )

    main = answer["dump"]["threads"][0]
    assert "handler" in functions(main)
    assert {"time.sleep(0.01)", "while thread.is_alive():"} & {
        frame.get("source") for frame in main["frames"]
    }


@pytest.mark.parametrize(
    "handling",
    [
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "signal.signal(signal.SIGCHLD, lambda *_: reap())",
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGALRM})",
    ],
    ids=["ignores", "reaps-all", "blocks"],
)
def test_child_handling(tmp_path: Path, handling: str) -> None:
    """Whatever the app does about its children, a dump works and leaves no child behind."""
    answer = told(
        f"""
def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
{handling}
thread = start_agent()
while thread.is_alive():
    time.sleep(0.001)
import psutil
tell(children=len(psutil.Process().children()))
""",
        tmp_path,
    )

    assert answer["dump"]["threads"][0]["is_main"]
    assert answer["children"] == 0


@pytest.mark.parametrize("reaps", [False, True])
def test_thread_in_io(tmp_path: Path, reaps: bool) -> None:
    """A pool thread in uninterruptible I/O can't keep the service paused: py-spy ends itself.

    The agent's thread is paused like all others by then, so its own time-out could never come.
    """
    answer = told(
        f"""
import ctypes
from perftui_agent.inspect import ladder
ladder.threads_in = lambda pid, letters: set()      # as if the I/O began a moment later
if {reaps}:
    signal.signal(signal.SIGCHLD, lambda *_: os.waitpid(-1, os.WNOHANG))
libc = ctypes.CDLL(None)
fifo = (sys.argv[0] + ".fifo").encode()
os.mkfifo(fifo)
actions = ctypes.create_string_buffer(1024)
assert libc.posix_spawn_file_actions_init(actions) == 0
assert libc.posix_spawn_file_actions_addopen(actions, 9, fifo, os.O_RDONLY, 0) == 0
arguments = (ctypes.c_char_p * 2)(b"true", None)

def hang():
    pid = ctypes.c_int()
    libc.posix_spawn(ctypes.byref(pid), b"/bin/true", actions, None, arguments, None)

begin = threading.Event()
thread = threading.Thread(target=lambda: (begin.wait(), agent(PySpy(pause_limit_s=1.0))), daemon=True)
thread.start()
pool = threading.Thread(target=hang, daemon=True)      # younger than the agent: paused after it
pool.start()
def state():
    with open(f"/proc/self/task/{{pool.native_id}}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]
while state() != "D":
    time.sleep(0.01)
begin.set()
while thread.is_alive():
    time.sleep(0.01)
tell(state=state())
os.close(os.open(fifo, os.O_WRONLY))
pool.join(10)
""",
        tmp_path,
    )

    dump = answer["dump"]
    assert answer["state"] == "D"
    assert dump["note"] == "not paused: a thread of it would not come to a stop"
    assert "hang" in {name for thread in dump["threads"] for name in functions(thread)}


def test_from_inside(tmp_path: Path) -> None:
    """Without py-spy a worker sees itself from inside, and the dump says what it is and why."""
    answer = told(
        """
def known_place():
    thread = start_agent(PySpy("/nowhere/py-spy"))
    while thread.is_alive():
        time.sleep(0.001)
known_place()
tell()
""",
        tmp_path,
    )

    dump = answer["dump"]
    main = dump["threads"][0]
    assert dump["method"] == "python"
    assert dump["note"].startswith("seen from inside: py-spy can't be started here: [Errno 2]")
    assert (main["name"], main["is_main"], "known_place" in functions(main)) == ("MainThread", True, True)
    assert not any(thread.get("holds_gil") or thread.get("active") for thread in dump["threads"])


def test_shutdown(tmp_path: Path) -> None:
    """A worker that ends in the middle of a dump isn't held up by it, and py-spy ends by itself."""
    fake = tmp_path / "py-spy"
    fake.write_text("#!/bin/sh\nexec sleep 600\n")
    fake.chmod(0o755)
    (line,) = run_host(
        AGENT
        + f"""
import psutil
thread = start_agent(PySpy({str(fake)!r}, pause_limit_s=2.0))
while not (children := psutil.Process().children()) or children[0].name() != "sleep":
    time.sleep(0.001)
print(children[0].pid, flush=True)
""",
        tmp_path,
    )

    eventually(lambda: not psutil.pid_exists(int(line)))
