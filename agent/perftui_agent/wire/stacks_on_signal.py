"""How a process is asked for the stacks of its threads by a signal, and what it writes read.

For one that answers nobody, C code holding its GIL, where nobody may trace it. It must have said in its
registration that it listens: a signal that is not waited for would end it. So it is asked for by its life,
not its pid, and sent nothing unless the system says that it catches the signal.

`faulthandler` reads the stacks without the GIL: where a thread runs Python meanwhile, that has ended the
process (once in two hundred times amid four busy threads). So only a worker whose own agent is silent is
asked, since nobody in it gets the GIL; one that answers sees itself from inside. And the signal goes to the
thread that computes: while that writes, it goes on with nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from perftui_agent.wire.dumps import StackFrame, ThreadDump
from perftui_agent.wire.lives import here, place_of, running_start_ticks, sees_processes, stat_of
from perftui_agent.wire.registration import Registration

FAULTHANDLER = "faulthandler"
"""How a dump says that it was taken this way."""

WAIT_S = 2.0
"""How long a process may take: a handler runs within moments, unless the machine is busy."""

SILENT_S = 0.5
"""For so long the agent of a worker must have had no turn: a thread that wants the GIL has it after 5 ms for
each that wants it as well."""

POLL_S = 0.005

_ANSWERS = "its own agent answers, and sees it from inside"

_SURELY_DONE = 3
"""In how many looks a signal is neither waiting nor handled: it can be between the two for a moment."""

MAX_BYTES = 8 * 1024 * 1024
"""A hundred threads of a hundred frames each with long paths take 5 MB."""

MAX_FRAMES = 100
"""Of one thread: what `faulthandler` writes at most."""

MAX_THREADS = 100


class WrittenFrame(NamedTuple):
    """A frame as `faulthandler` tells it."""

    function: str
    file: str
    line: int


class WrittenThread(NamedTuple):
    """A thread as `faulthandler` tells it."""

    thread_id: int
    frames: list[WrittenFrame]
    """Innermost first."""
    name: str | None = None
    """Told from Python 3.14 on."""
    is_main: bool = False
    got_signal: bool = False
    """It ran, most likely, when the process was asked."""
    cut: bool = False
    """Whether it is deeper than what is written."""


class Written(NamedTuple):
    """What a process has written of itself."""

    threads: list[WrittenThread]
    """The newest first, the main one last."""
    cut: bool = False
    """Whether there may be more: a hundred are written, and a process may be stopped as it writes."""


class NotWrittenError(Exception):
    """Why a process has written nothing, in half a sentence."""


async def written_stacks(registration: Registration) -> Written:
    """Ask a worker for its stacks and return them; `NotWrittenError` says why there are none.

    Takes `SILENT_S` and some 10 ms, `WAIT_S` more where nothing comes. Who asks at the same time waits.
    """
    stacks = registration.stacks
    if stacks is None:
        raise NotWrittenError("it listens to no signal")
    if place_of(registration.worker) != here() or not sees_processes():
        raise NotWrittenError("it is not of this place: a signal would reach another process")
    pid = registration.worker.pid
    try:
        with _opened(stacks.path) as file:
            await _locked(file)
            _must_listen(registration, stacks.signal)
            took_ns = _cpu_ns(pid)
            await _must_be_silent(registration.socket)
            _must_listen(registration, stacks.signal)
            thread = _thread_to_ask(pid, stacks.signal, took_ns)
            os.ftruncate(file, 0)
            _send(pid, thread, stacks.signal)
            data = await _written(file, pid, thread, stacks.signal)
            os.ftruncate(file, 0)
    except ProcessLookupError:
        raise NotWrittenError("it is gone") from None
    except (OSError, AttributeError) as error:
        raise NotWrittenError(f"it can't be asked by a signal: {error}") from error
    return read_written(data.decode("utf-8", "replace"), stacks.main_thread)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        info = os.fstat(file)
        owners = {os.getuid(), os.lstat(os.path.dirname(path)).st_uid}
        if not stat.S_ISREG(info.st_mode) or info.st_uid not in owners or info.st_nlink != 1:
            raise NotWrittenError("its file is not what it has made")
        yield file
    finally:
        os.close(file)


async def _locked(file: int) -> None:
    """Keep others from asking, who would take what is written for us; released as the file is closed."""
    until = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise NotWrittenError("somebody else is asking it") from None
        await asyncio.sleep(POLL_S)


async def _must_be_silent(path: str) -> None:
    """Make sure that the agent gets no turn: it would answer to anything at all."""
    with socket.socket(socket.AF_UNIX) as knock:
        knock.setblocking(False)
        try:
            knock.connect(path)
            knock.send(b"GET / HTTP/1.1\r\n\r\n")
        except BlockingIOError:
            return  # others wait at the door already
        except (BrokenPipeError, ConnectionResetError):
            raise NotWrittenError(_ANSWERS) from None  # and has closed the door
        except OSError as error:
            raise NotWrittenError(f"whether its agent answers can't be told: {error}") from error
        until = time.monotonic() + SILENT_S
        while time.monotonic() < until:
            await asyncio.sleep(POLL_S)
            with contextlib.suppress(BlockingIOError):
                knock.recv(1)
                raise NotWrittenError(_ANSWERS)


def _must_listen(registration: Registration, number: int) -> None:
    """Make sure that the signal will do no harm."""
    worker = registration.worker
    known = stat_of(str(worker.pid))
    if known is None or running_start_ticks(worker.pid) != worker.start_ticks:
        raise ProcessLookupError
    if known[1] in "Tt":
        raise NotWrittenError("it is stopped")
    if not 0 < number <= 64 or not _signals(str(worker.pid), b"SigCgt:") >> (number - 1) & 1:
        raise NotWrittenError("it does not listen to its signal any more")


def _signals(process: str, *of: bytes) -> int:
    """Return the signals that are caught, blocked, or waiting, as bits."""
    bits = 0
    with open(f"/proc/{process}/status", "rb") as file:
        for line in file:
            if line.startswith(of):
                bits |= int(line.split()[1], 16)
    return bits


def _thread_to_ask(pid: int, number: int, took_ns: dict[int, int]) -> int:
    """Return the thread that has computed most since `took_ns`, of those that take the signal."""
    now_ns = _cpu_ns(pid)
    takes_it = []
    for thread in sorted(now_ns):
        with contextlib.suppress(OSError):  # it has ended
            if not _is_handling(pid, thread, number):
                takes_it.append(thread)
    if not takes_it:
        raise NotWrittenError("all its threads block the signal")
    return max(takes_it, key=lambda thread: now_ns[thread] - took_ns.get(thread, 0))


def _cpu_ns(pid: int) -> dict[int, int]:
    """Return what CPU each thread has had."""
    had: dict[int, int] = {}
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
                had[thread] = int(file.read(64).split()[0])
        except (OSError, ValueError, IndexError):  # it has ended, or the system does not count
            had[thread] = 0
    return had


def _is_handling(pid: int, thread: int, number: int) -> bool:
    """Tell whether a signal waits for a thread, or is blocked in it, as it is while its handler runs."""
    return bool(_signals(f"{pid}/task/{thread}", b"SigPnd:", b"SigBlk:") >> (number - 1) & 1)


def _send(pid: int, thread: int, number: int) -> None:
    if ctypes.CDLL(None, use_errno=True).tgkill(pid, thread, number) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


async def _written(file: int, pid: int, thread: int, number: int) -> bytes:
    """Return what is written of a signal that has been sent."""
    until = time.monotonic() + WAIT_S
    done = 0
    while done < _SURELY_DONE:
        await asyncio.sleep(POLL_S)
        try:
            done = 0 if _is_handling(pid, thread, number) else done + 1
        except FileNotFoundError:  # the thread has ended
            done = _SURELY_DONE
        size = min(os.fstat(file).st_size, MAX_BYTES)
        if size and (done or time.monotonic() > until):
            return os.pread(file, size, 0)
        if time.monotonic() > until:
            break
    raise NotWrittenError(
        "it wrote nothing when it got the signal" if done else f"it did not come to write within {WAIT_S:g} s"
    )


_HEADING = re.compile(
    r"(Current thread|Thread) 0x([0-9a-f]{1,16})(?: \[(.{0,200})\])? \(most recent call first\):"
)
_FRAME = re.compile(r'  File (?:"(.{0,6000})"|\?\?\?), line (\d{1,10}|\?\?\?) in (.{0,6000})')
"""Of a name 500 characters are written, of each up to ten."""

_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def threads_of(written: Written, pid: int) -> list[ThreadDump]:
    """Return the threads as a dump has them, the main one first; without their lines of code."""
    threads = [
        ThreadDump(
            name=thread.name or ("MainThread" if thread.is_main else None),
            thread_id=thread.thread_id,
            os_thread_id=pid if thread.is_main else None,
            is_main=thread.is_main,
            frames=[
                StackFrame(function=function, file=file, line=line, short_file=_short(file))
                for function, file, line in thread.frames
            ],
        )
        for thread in written.threads
    ]
    return sorted(threads, key=lambda thread: not thread.is_main)


def _short(file: str) -> str:
    """Return the end of a path: where it was imported from, the process alone knows."""
    return os.sep.join(file.rsplit(os.sep, 2)[-2:])


def limits_of(written: Written) -> list[str]:
    """Return what one must know of what was written, a sentence each."""
    said = [f"no more than {MAX_THREADS} threads are written, and there may be more"] if written.cut else []
    if deep := sum(thread.cut for thread in written.threads):
        said.append(f"{deep} stacks are deeper than the {MAX_FRAMES} frames that are written")
    return said


def read_written(text: str, main_thread: int = 0) -> Written:
    """Return the threads in what `faulthandler` has written last; lines that are none of its are passed over.

    Where it was asked several times, one answer follows another. Each ends with the main thread, the oldest,
    or says that there are more; nobody is in it twice.
    """
    threads: list[WrittenThread] = []
    cut = False
    for line in text.splitlines():
        if heading := _HEADING.fullmatch(line):
            who, number, name = heading.groups()
            ident = int(number, 16)
            if cut or (threads and threads[-1].is_main) or any(ident == one.thread_id for one in threads):
                threads, cut = [], False
            is_main = ident == main_thread
            threads.append(WrittenThread(ident, [], name, is_main, who == "Current thread"))
        elif line == "...":
            cut = True
        elif threads and line == "  ...":
            threads[-1] = threads[-1]._replace(cut=True)
        elif threads and (frame := _FRAME.fullmatch(line)):
            file, number, function = frame.groups()
            at = int(number) if number.isdigit() else 0
            threads[-1].frames.append(WrittenFrame(_plain(function), _plain(file or "???"), at))
    whole = any(thread.is_main and thread.frames for thread in threads)
    return Written(threads, cut or (bool(main_thread) and not whole))


def _plain(text: str) -> str:
    """Return a text with the characters that `faulthandler`, which writes ASCII alone, has escaped."""

    def character(escaped: re.Match[str]) -> str:
        number = int(next(filter(None, escaped.groups())), 16)
        return chr(number) if number < 0x110000 else escaped[0]

    return _ESCAPED.sub(character, text)
