"""How much memory the process had before any of the agent was imported: the package's first module.

It imports nothing but what tells, for what it imports would count as the app's. The peak that `getrusage`
knows would need no file, but a process inherits that of the one that started it, and where that was larger
it never rises.
"""

from __future__ import annotations

import os
import sys

try:
    from resource import RUSAGE_SELF, getpagesize, getrusage
except ImportError:  # the dashboard's systems are more than the agent's
    _known = False
else:
    _known = True


def resident_bytes() -> int | None:
    """Return what this process has resident now; where the system has no file for that, at most so far."""
    if not _known:
        return None
    try:
        file = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    try:
        return int(os.read(file, 128).split()[1]) * getpagesize()
    finally:
        os.close(file)


_BEFORE = resident_bytes()


def risen_bytes() -> int | None:
    """Return by how much that has risen since the package began to be imported; None if it can't tell."""
    now = resident_bytes()
    return None if now is None or _BEFORE is None or now <= _BEFORE else now - _BEFORE
