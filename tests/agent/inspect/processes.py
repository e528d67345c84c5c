"""Real processes for the tests of dumps: each in its own session, none left over.

with python("print('ready', flush=True); input()") as target: ...
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil

from perftui_agent.inspect.process_state import read_state, threads_in
from perftui_agent.wire.dumps import Dump, Refusal

T = TypeVar("T")

PATIENCE_S = 30.0
"""How long a test waits for what must happen, on a machine that is busy with other things."""


@contextlib.contextmanager
def started(command: list[str], *, ready: bool = True, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the block ends; begin once it has printed a line."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, **options
    )
    try:
        assert process.stdout is not None
        if ready:
            assert process.stdout.readline(), "it ended before it was ready"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@contextlib.contextmanager
def python(code: str, folder: Path, name: str = "program.py") -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of its own that prints a line when it is ready."""
    path = folder / name
    path.write_text(textwrap.dedent(code))
    with started([sys.executable, str(path)]) as process:
        yield process


def run_host(code: str, folder: Path, *arguments: str) -> list[str]:
    """Run a program that dumps itself, to its end; return the lines it printed."""
    path = folder / "host.py"
    path.write_text(textwrap.dedent(code))
    with started(
        [sys.executable, "-W", "error", str(path), *arguments], ready=False, stderr=subprocess.PIPE
    ) as host:
        output, errors = host.communicate(timeout=PATIENCE_S)
    assert host.returncode == 0, errors.decode()
    assert errors.decode() == ""
    return output.decode().splitlines()


def on_agent_thread(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine as the agent does: on a loop of its own, in a thread that isn't the main one."""
    result: list[T] = []
    fault: list[BaseException] = []

    def run() -> None:
        try:
            result.append(asyncio.run(make()))
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            fault.append(error)

    thread = threading.Thread(target=run, name="perftui-agent", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the agent hangs"
    if fault:
        raise fault[0]
    return result[0]


def eventually(condition: Callable[[], T]) -> T:
    """Return the first true value of `condition`; fail when patience is at its end."""
    until = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)
    return value


async def dumped_in(function: str, take: Callable[[], Awaitable[Dump | Refusal]]) -> Dump:
    """Take dumps until the main thread is in `function`: a line is printed before a call is made."""
    until = time.monotonic() + PATIENCE_S
    while True:
        dump = await take()
        assert isinstance(dump, Dump), dump
        if function in [frame.function for frame in dump.threads[0].frames]:
            return dump
        assert time.monotonic() < until, dump


def stop(pid: int) -> None:
    """Stop `pid` as ctrl+z would, and wait until it is."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: (state := read_state(pid)) is not None and state.is_stopped)


def children() -> set[int]:
    """Return the pids of this process's children: py-spy and targets, but other tests' servers too."""
    return {child.pid for child in psutil.Process().children()}


def is_held(pid: int) -> bool:
    """Whether any thread of `pid` is stopped or traced at this moment."""
    return bool(threads_in(pid, "Tt"))


class StandIn:
    """Makes programs that take the place of py-spy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, code: str, name: str = "py-spy") -> str:
        """Return the path of an executable of this Python code."""
        path = self._folder / name
        path.write_text(f"#!{sys.executable} -S\n{textwrap.dedent(code)}")
        path.chmod(0o755)
        return str(path)
