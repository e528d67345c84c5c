"""Reads what the system tells in small files: `/proc`, control groups.

No descriptor is kept: a read costs 10 to 15 µs with opening and closing, of which keeping it open would save
8, and a file that lives for long is one more thing to lose in a fork.
"""

from __future__ import annotations

import os
import time

MOST_BYTES = 4096


def read_small(path: str) -> bytes:
    """Return the beginning of a file, at most a page; nothing if it can't be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, MOST_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def read_whole(path: str, most: int) -> bytes:
    """Return a file that may be longer, as far as `most` bytes; nothing if it can't be read.

    A file of the kernel's gives a page at a time, whatever is asked for. A file object costs twice as much.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    whole = b""
    try:
        while len(whole) < most and (piece := os.read(descriptor, most - len(whole))):
            whole += piece
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return whole


class NowAndThen:
    """Says when something is to be asked again: `least_s` apart, and `rests` times the CPU that it takes.

    What is told in microseconds on most machines takes milliseconds on some: `/proc/stat` with hundreds of
    processors, a control group whose counts have to be gathered from all of them. What counts is CPU: in a
    busy process most of the time is a wait for the GIL, and it is there that one wants to know.
    """

    def __init__(self, least_s: float, rests: int) -> None:
        self._least_s = least_s
        self._rests = rests
        self._from_s = float("-inf")
        self._began_s = self._began_cpu_s = 0.0

    def is_due(self) -> bool:
        """Say whether it is time; if so, it begins now."""
        self._began_s = time.monotonic()
        if self._began_s < self._from_s:
            return False
        self._began_cpu_s = time.thread_time()
        return True

    def done(self) -> None:
        """Take it that it has been asked."""
        took_s = time.thread_time() - self._began_cpu_s
        self._from_s = self._began_s + max(self._least_s, self._rests * took_s)
