"""What a worker has written of itself while it was silent, taken out of its file, by itself or by others.

The file is that of the stacks on a signal (`inspect.on_signal`); whoever asks for them empties it when it has
read them, so what lies in it was written for nobody: the alarm has had it written.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import NamedTuple

from perftui_agent.inspect.source import SourceReader
from perftui_agent.inspect.spy_output import SpyThread
from perftui_agent.inspect.stacks import (
    fitted,
    kept,
    own_threads,
    signalled_threads,
    thread_dumps,
    wanted_lines,
)
from perftui_agent.inspect.targets import started_at
from perftui_agent.probes.loop.gap import Gap
from perftui_agent.wire.dumps import Dump
from perftui_agent.wire.stacks_on_signal import FAULTHANDLER, MAX_BYTES, limits_of, read_written

PYTHON = "python"
"""How a dump says that a process has looked at itself."""


class Text(NamedTuple):
    """What was written."""

    data: bytes
    written_at: int
    """When, on the wall clock."""

    def is_of(self, beat_ns: int) -> bool:
        """Tell whether it is of the silence that followed a sign of life, and was not there before."""
        return self.written_at >= time.time_ns() - (time.monotonic_ns() - beat_ns)


def take_text(path: Path) -> Text | None:
    """Return what lies in a worker's file and empty it; None if nothing does, or somebody asks just now."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        info = os.fstat(file)
        if not info.st_size or not stat.S_ISREG(info.st_mode):
            return None
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        data = os.pread(file, min(info.st_size, MAX_BYTES), 0)
        os.ftruncate(file, 0)
        return Text(data, info.st_mtime_ns)
    except OSError:
        return None
    finally:
        with contextlib.suppress(OSError):
            os.close(file)


class Stacks(NamedTuple):
    """Of a process, however they were had."""

    threads: list[SpyThread]
    taken_at: int
    """On the wall clock."""
    method: str
    note: str = ""


def stacks_in(text: Text, pid: int, main_thread: int) -> Stacks:
    """Return the stacks that a worker has written."""
    written = read_written(text.data.decode("utf-8", "replace"), main_thread)
    note = "; ".join(limits_of(written))
    return Stacks(signalled_threads(pid, written), text.written_at, FAULTHANDLER, note)


def stacks_after(gap: Gap) -> Stacks:
    """Return the stacks of this process as they were when somebody let go of the GIL."""
    return Stacks(own_threads(gap.stacks), time.time_ns(), PYTHON)


async def dump_of(found: Stacks, pid: int, sources: SourceReader) -> Dump:
    """Return stacks as a dump."""
    began_ns = time.monotonic_ns()
    stacks = kept(found.threads)
    lines = await sources.read(wanted_lines(each.frames for each in stacks), unchanged_since=started_at(pid))
    return fitted(
        Dump(
            id="",
            pid=pid,
            taken_at=found.taken_at,
            took_ns=time.monotonic_ns() - began_ns,
            taken_by=pid,
            method=found.method,
            threads=thread_dumps(stacks, lines),
            threads_cut=len(found.threads) - len(stacks),
            note=found.note,
        )
    )
