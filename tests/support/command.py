"""The real command line in a process of its own, without the price of starting Python and importing it.

To import what `perftui snapshot` takes costs 0.4 s of CPU, and tests run it hundreds of times. So one process
for all tests of a lane imports it, and forks for each command: it has its own arguments, environment, files,
signals and exit code, and ends as any Python does. What is about the start itself runs `python -m perftui`,
and so does what opens a screen.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from perftui import cli

_WITH_SCREEN = frozenset({"connect", "demo", "replay"})
"""They import Textual, when they are run."""

_LONGEST = 1 << 20
"""The bytes of a request: an environment may be long."""


class Forked(subprocess.Popen[str]):
    """`perftui` with some arguments, as a `Popen`; all that differs is who starts it and hears of its end."""

    _over: socket.socket

    def __init__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> None:
        super().__init__(
            ["perftui", *arguments],
            env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, text=True,
        )  # fmt: skip

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for its end, which a test that has failed does not bring about."""
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, traceback)

    def _execute_child(self, args: list[str], *how: Any) -> None:
        cwd, env = how[4:6]
        pipes = how[9:15]  # of stdin, stdout and stderr, for reading and for writing
        self._over, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps([args[1:], dict(os.environ if env is None else env), str(cwd or os.getcwd())])
        with told:
            socket.send_fds(_forker(), [request.encode()], [pipes[0], pipes[3], pipes[5], told.fileno()])
        self.pid = int(self._over.recv(64))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self.returncode is not None or (
            wait_flags == os.WNOHANG and not select.select([self._over], [], [], 0)[0]
        ):
            return 0, 0
        with self._over:
            return self.pid, int(self._over.recv(64))

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        lock: threading.Lock = self._waitpid_lock  # type: ignore[attr-defined]
        if self.returncode is None and lock.acquire(blocking=False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                lock.release()
        return self.returncode


def run(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `perftui` with these arguments until it ends; return what it has said."""
    with Forked(*arguments, env=env, cwd=cwd) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


_starting = threading.Lock()


def _forker() -> socket.socket:
    with _starting:
        return _started()


@functools.cache
def _started() -> socket.socket:
    """Start the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
    process = subprocess.Popen([sys.executable, "-m", __name__], stdin=theirs.fileno())
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(asked: socket.socket) -> None:
    """Fork for each request, and tell of each child first its pid and then its exit status."""
    over, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([asked.fileno(), over], [], [])
        if over in ready:
            os.read(over, 4096)
        if asked.fileno() in ready:
            request, files, _, _ = socket.recv_fds(asked, _LONGEST, 4)
            if not request:
                return
            arguments, env, directory = json.loads(request)
            _import(arguments)
            pid = os.fork()
            if pid == 0:
                asked.close()
                for number in (over, wakes, files.pop(), *(each.detach() for each in running.values())):
                    os.close(number)
                _become(arguments, env, directory, files)
            running[pid] = socket.socket(fileno=files.pop())
            running[pid].send(str(pid).encode())
            for number in files:
                os.close(number)
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            with running.pop(pid) as one:
                one.send(str(status).encode())


def _import(arguments: Sequence[str]) -> None:
    """Import what a command needs before the fork: once for all of its kind."""
    verb = arguments[0] if arguments else ""
    if verb in cli.VERBS and verb not in _WITH_SCREEN:
        importlib.import_module(f"perftui.commands.{verb}")
        gc.freeze()  # so that no collection of a child copies it


def _become(
    arguments: Sequence[str], env: Mapping[str, str], directory: str, files: Sequence[int]
) -> NoReturn:
    """Be a process that has just been started with these."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["perftui", *arguments]
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115 - they stay open until the end
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    sys.exit(cli.main())


if __name__ == "__main__":
    serve(socket.socket(fileno=0))
