"""py-spy's `record` as a child process of the worker: started, kept within bounds, ended, its samples read.

Takes a pid, a rate and a length; gives stacks. `py-spy record -d` counts samples and not time (with 201
threads `-d 1 -r 100` took 10.8 s), so it is ended by SIGINT, upon which it writes down what it has. While
py-spy has this very process paused nothing of ours can run, and a held GIL stops the agent's thread as well:
so a keeper, a small Python of its own, counts the time. It ends py-spy when the time is over, when the agent
closes its end of the pipe or dies, and when py-spy takes more than half a core; a py-spy that does not obey
is killed. The samples go through memory, and no file is left anywhere.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys

import msgspec

from perftui_agent.inspect.pyspy import CANNOT_START, Finished, environment, find_py_spy, outcome
from perftui_agent.inspect.spy_output import COMPLAINTS, Failure

ENDS_WITHIN_S = 2.0
"""How long py-spy may take to write down what it has."""

MOST_CORES = 0.5
"""Of CPU, by py-spy: more, and it is ended and begun again at half the rate."""

TOO_BUSY = "perftui: more than half a core"

_BEHIND = "behind in sampling"
"""What py-spy says of itself when it can't keep its rate."""

_KEEPER = f"""
import os, select, signal, sys, time
seconds, grace, cores = (float(text) for text in sys.argv[1:4])
command = sys.argv[4:]
signal.signal(signal.SIGINT, signal.SIG_IGN)
out = os.memfd_create("samples") if hasattr(os, "memfd_create") else -1
os.set_inheritable(out, True)
command[command.index("OUTPUT")] = "/proc/self/fd/%d" % out
child = os.fork()
if child == 0:
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.execv(command[0], command)
    except BaseException as error:
        os.write(2, ("{CANNOT_START}" + str(error)).encode())
    os._exit(1)
ticks = os.sysconf("SC_CLK_TCK")
def used():
    try:
        with open("/proc/%d/stat" % child, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks
    except (OSError, IndexError, ValueError):
        return 0.0
def over(within):
    until = time.monotonic() + within
    while True:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.01)
until = time.monotonic() + seconds
looked, before = time.monotonic(), used()
ended = False
while not ended and (left := until - time.monotonic()) > 0:
    if select.select([0], [], [], min(left, 0.1))[0]:
        break
    ended = bool(os.waitpid(child, os.WNOHANG)[0])
    now = time.monotonic()
    if not ended and now - looked >= 1.0:
        cpu = used()
        if (cpu - before) / (now - looked) > cores:
            os.write(2, b"{TOO_BUSY}\\n")
            break
        looked, before = now, cpu
if not ended:
    os.kill(child, signal.SIGINT)
    if not over(grace):
        os.kill(child, signal.SIGKILL)
        os.write(2, b"perftui: did not end\\n")
        over(1.0)
at = 0
while True:
    data = os.pread(out, 65536, at)
    if not data:
        break
    at += len(data)
    while data:
        data = data[os.write(1, data):]
"""

_FRAME = re.compile(r"(?P<name>.*) \((?P<file>.*?)(?::(?P<line>\d+))?\)", re.DOTALL)
_THREAD = re.compile(r"(?:thread|process) \([^)]*\)(?:: (?P<name>.*))?", re.DOTALL)


class SpiedFrame(msgspec.Struct, frozen=True):
    """One frame as py-spy names it."""

    name: str
    file: str
    line: int


class SpiedStack(msgspec.Struct, frozen=True):
    """One stack and how often it was seen."""

    thread: str
    frames: tuple[SpiedFrame, ...]
    """Outermost first."""
    count: int


class Recorded(msgspec.Struct, frozen=True):
    """What one run of py-spy brought."""

    stacks: list[SpiedStack]
    failure: Failure | None = None
    detail: str = ""
    too_much: bool = False
    """It could not keep its rate, or took too much of a core: the next is to be slower."""
    unread: int = 0
    """Samples that could not be read."""


class Recording:
    """One run of `py-spy record`; the child is gone when `run` returns, raises or is cancelled."""

    def __init__(self, binary: str | None = None) -> None:
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None

    def finish(self) -> None:
        """End it now, with what there is."""
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()

    async def run(self, pid: int, *, seconds: float, rate_hz: int, mode: str) -> Recorded:
        """Sample `pid` for so long."""
        binary = self._binary or find_py_spy()
        if binary is None:
            return Recorded([], Failure.NOT_STARTED, "it is not installed")
        spy = [binary, "record", "--pid", str(pid), "--format", "raw", "--output", "OUTPUT", "--threads"]
        spy += ["--full-filenames", "--rate", str(rate_hz), "--duration", str(int(seconds) + 5)]
        spy += {"wall": ["--idle"], "gil": ["--gil"]}.get(mode, [])
        bounds = [f"{bound:g}" for bound in (seconds, ENDS_WITHIN_S, MOST_CORES)]
        keeper = [sys.executable, "-I", "-S", "-c", _KEEPER, *bounds]
        try:
            process = self._process = _started([*keeper, *spy])
        except OSError as error:
            return Recorded([], Failure.NOT_STARTED, str(error))
        try:
            return _read(await outcome(process, seconds + 2 * ENDS_WITHIN_S))
        finally:
            self._process = None
            _end(process)


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        close_fds=True,
        # A group of its own: ctrl+c in the service's terminal is not for it, and both end together.
        start_new_session=True,
        cwd=os.sep,
        env=environment(),
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None and not pipe.closed:
            pipe.close()
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)


def _read(finished: Finished) -> Recorded:
    if finished.timed_out:
        return Recorded([], Failure.TIMED_OUT)
    if finished.too_large:
        return Recorded([], Failure.TOO_LARGE)
    said = finished.stderr
    stacks, unread = read_raw(finished.stdout.decode("utf-8", "replace"))
    too_much = _BEHIND in said or TOO_BUSY in said
    if stacks:
        return Recorded(stacks, too_much=too_much, unread=unread)
    failure = next((failure for text, failure in COMPLAINTS if text in said), None)
    return Recorded([], failure, "" if failure else said.strip()[-200:], too_much)


def read_raw(text: str) -> tuple[list[SpiedStack], int]:
    """Return the stacks of py-spy's raw format, and how many samples could not be read."""
    stacks: list[SpiedStack] = []
    unread = 0
    for row in text.splitlines():
        stack, _, number = row.rpartition(" ")
        if not stack or not number.isdigit():
            unread += 1
            continue
        names = stack.split(";")
        thread = _THREAD.fullmatch(names[0])
        frames = tuple(_frame(name) for name in names[1 if thread else 0 :] if "<shim>" not in name)
        stacks.append(SpiedStack((thread and thread["name"]) or "", frames, int(number)))
    return stacks, unread


def _frame(text: str) -> SpiedFrame:
    match = _FRAME.fullmatch(text)
    if match is None:
        return SpiedFrame(text, "", 0)
    return SpiedFrame(match["name"], match["file"], int(match["line"] or 0))
