"""The lines of code that a dump points at, as far as they can be read safely and in time.

Takes file names and line numbers out of another process, so they are not trusted: only regular
files with the name of Python source, bounded in size and number, read on a thread of their own. A
process that hangs often hangs on the very file system its code lies on, and the dump of it must
not join it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import threading
from collections.abc import Mapping
from typing import TypeAlias

from perftui_agent.inspect.text import printable

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_FILES = 200
MAX_TOTAL_BYTES = 16 * 1024 * 1024
MAX_LINE_CHARACTERS = 200
WAIT_S = 1.0

_SUFFIXES = (".py", ".pyw", ".pyx")

_CLOCK_SLACK_S = 2.0
"""The start of a process is known to a second."""

Lines: TypeAlias = dict[tuple[str, int], str]
"""The text of lines by file and number, without indentation."""


class SourceReader:
    """Reads lines of source; while one reading hangs, the next are done without."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    async def read(self, wanted: Mapping[str, set[int]], *, unchanged_since: float | None) -> Lines:
        """Return the wanted lines that could be had within a second."""
        if self._thread is not None and self._thread.is_alive():
            return {}
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Lines] = loop.create_future()

        def deliver(lines: Lines) -> None:
            if not answer.done():
                answer.set_result(lines)

        def work() -> None:
            lines: Lines = {}
            with contextlib.suppress(Exception):
                lines = read_lines(wanted, unchanged_since=unchanged_since)
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(deliver, lines)

        self._thread = threading.Thread(target=work, name="perftui-source", daemon=True)
        try:
            self._thread.start()
            async with asyncio.timeout(WAIT_S):
                return await answer
        except (RuntimeError, TimeoutError):  # RuntimeError: no more threads here
            return {}


def read_lines(wanted: Mapping[str, set[int]], *, unchanged_since: float | None = None) -> Lines:
    """Return the text of each wanted line that can be read; the first 200 files at most.

    A file that was changed after `unchanged_since` (seconds since the epoch) is not what the
    process runs: no line is better than the wrong one.
    """
    found: Lines = {}
    budget = MAX_TOTAL_BYTES
    for path in list(wanted)[:MAX_FILES]:
        data = _read_file(path, min(MAX_FILE_BYTES, budget), unchanged_since)
        if data is None:
            continue
        budget -= len(data)
        lines = data.split(b"\n")
        for number in wanted[path]:
            if 0 < number <= len(lines):
                text = lines[number - 1].decode("utf-8", "replace").strip()
                found[path, number] = printable(text, MAX_LINE_CHARACTERS)
    return found


def _read_file(path: str, limit: int, unchanged_since: float | None) -> bytes | None:
    if not path.endswith(_SUFFIXES) or not os.path.isabs(path) or "\0" in path:
        return None
    try:
        # A FIFO with the name of a module would block an open without O_NONBLOCK.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        info = os.fstat(descriptor)
        is_changed = unchanged_since is not None and info.st_mtime > unchanged_since + _CLOCK_SLACK_S
        if not stat.S_ISREG(info.st_mode) or info.st_size > limit or is_changed:
            return None
        return os.read(descriptor, limit)
    except OSError:
        return None
    finally:
        os.close(descriptor)
