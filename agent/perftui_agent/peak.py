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


_LEAST = 1 << 20
"""What the agent's modules take at the very least. Where the peak has risen by less, it was not this process's
own: it inherits that of the one that started it."""


def risen_bytes() -> int | None:
    """Return by how much the peak has risen since the package began to be imported; None if it can't tell."""
    now = peak_bytes()
    if now is None or _BEFORE is None or now - _BEFORE < _LEAST:
        return None
    return now - _BEFORE
