"""py-spy as a child process of the worker: found, started, bounded, ended.

Takes a pid, gives what py-spy said and how it ended. It is started from the agent's loop with plain
`Popen` and its pipes are read by that loop: no child watcher, no signal handler, no `waitpid` for
any child but this one, so the app's own handling of children is not touched. Measured: 11 ms for
the launcher, 15–30 ms for py-spy.

While py-spy has this very process paused, nothing of ours can run, a time-out least of all: a pool
thread in uninterruptible I/O would keep the service paused for as long as that lasts. So the
launcher sets an alarm, which outlives exec, and SIGALRM ends py-spy from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from typing import IO

import msgspec

MAX_OUTPUT_BYTES = 16 * 1024 * 1024
"""About 40,000 frames; decoding that much holds the GIL for 60 ms."""

MAX_ERROR_BYTES = 64 * 1024

PAUSE_LIMIT_S = 2.0
"""A process with 201 threads is paused for 0.1 s; uvicorn kills a worker after 5 s of silence."""

_GRACE_S = 1.0
"""How much later than the alarm the loop gives up by itself, and how long a killed child may last."""

CANNOT_START = "cannot start py-spy: "

_LAUNCHER = f"""
import _signal, posix, sys
_signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
_signal.pthread_sigmask(_signal.SIG_SETMASK, ())
_signal.setitimer(_signal.ITIMER_REAL, float(sys.argv[1]))
try:
    posix.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit("{CANNOT_START}" + str(error))
"""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """How a run of py-spy ended."""

    stdout: bytes = b""
    stderr: str = ""
    timed_out: bool = False
    too_large: bool = False


def find_py_spy() -> str | None:
    """Return the path of the py-spy that was installed with the agent, else one on the PATH."""
    name = "py-spy.exe" if os.name == "nt" else "py-spy"
    folders = [sysconfig.get_path("scripts")]
    if sys.executable:
        folders.append(os.path.dirname(sys.executable))
    # `pip install --user` and `pip install --target` put scripts elsewhere.
    folders.append(sysconfig.get_path("scripts", f"{os.name}_user"))
    folders += [
        os.path.join(entry, "bin")
        for entry in sys.path
        if os.path.isabs(entry) and glob.glob(os.path.join(glob.escape(entry), "py_spy-*.dist-info"))
    ]
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    found = shutil.which(name)
    return os.path.abspath(found) if found else None


class PySpy:
    """Runs py-spy, one at a time; remembers a child that even SIGKILL could not end."""

    def __init__(self, binary: str | None = None, *, pause_limit_s: float = PAUSE_LIMIT_S) -> None:
        self._binary = binary
        self._pause_limit_s = pause_limit_s
        self._lost: subprocess.Popen[bytes] | None = None

    async def dump(self, pid: int, *, nonblocking: bool) -> Finished:
        """Run `py-spy dump --json`; the child is gone when this returns, raises or is cancelled."""
        if self._lost is not None and self._lost.poll() is None:
            return Finished(stderr=f"{CANNOT_START}pid {self._lost.pid}, the one before, can't be ended")
        self._lost = None
        binary = self._binary or find_py_spy()
        if binary is None:
            return Finished(stderr=f"{CANNOT_START}it is not installed")
        arguments = ["dump", "--json", "--pid", str(pid), *(["--nonblocking"] if nonblocking else [])]
        try:
            process = self._start([binary, *arguments])
        except OSError as error:
            return Finished(stderr=f"{CANNOT_START}{error}")
        try:
            return await outcome(process, self._pause_limit_s)
        finally:
            self._end(process)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        if os.path.isabs(sys.executable or "") and "python" in os.path.basename(sys.executable):
            # -S and -I: 11 ms instead of 43, and none of the app's start-up hooks.
            command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(self._pause_limit_s), *command]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Listening sockets that Python or the server made inheritable stay with the app.
            close_fds=True,
            # ctrl+c in the service's terminal is not for py-spy, nor is a signal to its group.
            start_new_session=True,
            cwd=os.sep,
            env=environment(),
        )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        if process.poll() is None:
            process.kill()
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._lost = process


class _TooLargeError(Exception):
    """py-spy says more than it may."""


async def outcome(process: subprocess.Popen[bytes], limit_s: float) -> Finished:
    """Read both pipes to their ends and wait for the exit: `limit_s` and a little grace for the alarm."""
    assert process.stdout is not None  # noqa: S101 - for the type checker: both are PIPE
    assert process.stderr is not None  # noqa: S101
    output, errors = bytearray(), bytearray()
    readers = [
        asyncio.ensure_future(_read(process.stdout, output, MAX_OUTPUT_BYTES)),
        asyncio.ensure_future(_read(process.stderr, errors, MAX_ERROR_BYTES)),
    ]
    began, timed_out, too_large = time.monotonic(), False, False
    try:
        async with asyncio.timeout(limit_s + _GRACE_S):
            await asyncio.gather(*readers)
            await _exit(process)
    except TimeoutError:
        timed_out = True
    except _TooLargeError:
        too_large = True
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    # An app that reaps every child leaves us 0 as the code: judge by the output and the clock instead.
    silent = not output and not errors and time.monotonic() - began >= limit_s
    return Finished(
        stdout=bytes(output),
        stderr=errors.decode("utf-8", "replace"),
        timed_out=timed_out or silent,
        too_large=too_large,
    )


async def _read(pipe: IO[bytes], into: bytearray, limit: int) -> None:
    """Append what comes through `pipe` until its end; raise `_TooLargeError` beyond `limit` bytes."""
    loop = asyncio.get_running_loop()
    descriptor = pipe.fileno()
    os.set_blocking(descriptor, False)
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        while True:
            if len(into) > limit:
                raise _TooLargeError
            await readable.wait()
            readable.clear()
            with contextlib.suppress(BlockingIOError):
                data = os.read(descriptor, 65536)
                if not data:
                    return
                into += data
    finally:
        loop.remove_reader(descriptor)


async def _exit(process: subprocess.Popen[bytes]) -> None:
    # Both pipes have ended, so it is a matter of microseconds, and a watcher would need signals.
    while process.poll() is None:  # noqa: ASYNC110
        await asyncio.sleep(0.002)


def environment() -> dict[str, str]:
    """Return what py-spy needs and no more: the app's secrets live in its environment."""
    names = ("LD_LIBRARY_PATH", "PATH")
    return {name: os.environ[name] for name in names if name in os.environ} | {"RUST_BACKTRACE": "0"}
