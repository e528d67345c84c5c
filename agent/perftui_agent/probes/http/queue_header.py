"""Reads when a proxy took a request from a header that it sets, if its name was given.

`X-Request-Start` and its like have no standard: `t=1700000000.123`, or plain seconds, milliseconds,
microseconds or nanoseconds since the epoch, which their size tells apart. The two clocks need not agree: what
would lie in the future, or long ago, is not believed.
"""

from __future__ import annotations

import time

from perftui_agent.records import Headers

LONGEST_NS = 600_000_000_000
"""Nobody waits longer than ten minutes; a clock may be as wrong as that."""

_UNITS_NS = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (1e8, 1_000_000_000))
"""From which number on it counts in which unit: none of these can be mistaken between 1973 and 5138."""


class QueueHeader:
    """One header, by its name."""

    def __init__(self, name: str) -> None:
        self._name = name.lower().encode("latin-1")

    def waited_ns(self, headers: Headers) -> int | None:
        """Return how long ago the proxy took a request; None if it does not say, or can't be right."""
        for name, value in headers:
            if name == self._name:
                waited_ns = time.time_ns() - _moment_ns(value)
                return waited_ns if 0 <= waited_ns <= LONGEST_NS else None
        return None


def _moment_ns(value: bytes) -> int:
    """Return a moment, in ns since the epoch; 0 for what is none."""
    try:
        number = float(value.strip().removeprefix(b"t="))
    except ValueError:
        return 0
    for least, unit_ns in _UNITS_NS:
        if least <= number < 1e20:
            return round(number * unit_ns)
    return 0
