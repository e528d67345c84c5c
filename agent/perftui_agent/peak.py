"""How much memory the process had before any of the agent was imported: the package's first module.

It imports nothing but what tells, for what it imports would count as the app's.
"""

from __future__ import annotations

import sys

try:
    from resource import RUSAGE_SELF, getrusage
except ImportError:  # the dashboard's systems are more than the agent's
    _known = False
else:
    _known = True

_UNIT = 1 if sys.platform == "darwin" else 1024


def peak_bytes() -> int | None:
    """Return the most that this process has had resident so far, without opening a file for it."""
    return getrusage(RUSAGE_SELF).ru_maxrss * _UNIT if _known else None


_BEFORE = peak_bytes()


def risen_bytes() -> int | None:
    """Return by how much the peak has risen since the package began to be imported."""
    now = peak_bytes()
    return None if now is None or _BEFORE is None else now - _BEFORE
