"""What goes on after responses and on open connections, as everything beyond the model sees it.

Durations are milliseconds, sizes bytes; None is "no data", never 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perftui.record import Record


class BackgroundSummary(Record, frozen=True):
    """What one function did for one route's requests after they had been answered, over the window."""

    name: str
    """`app/mail.py:12 send`, or the name that a queue knows it by."""
    kind: str
    """`background`, `task`, `thread`, `celery`, `taskiq`, `arq`."""
    route: str = ""
    """Whose requests gave it; empty where nobody knows."""
    count: int = 0
    """Those that ended."""
    errors: int = 0
    failures: Mapping[str, int] = msgspec.field(default_factory=dict)
    running: int = 0
    """Those under way now, and how old the oldest is."""
    oldest_ms: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    max_ms: float | None = None
    total_ms: float = 0.0
    wait_p95_ms: float | None = None
    """From being given away to beginning, of what has to wait for its turn."""
    waits: int = 0
    threaded: int = 0
    """Of those that ended, the ones that took a thread of the pool that sync endpoints run in."""
    held: int = 0
    """Of those that ended, the ones that held a response open, and for how long clients waited for it."""
    held_ms: float = 0.0
    sql: int = 0
    """Statements, and the time they took, transactions included."""
    sql_ms: float = 0.0
    cache: int = 0
    cache_ms: float = 0.0
    calls: int = 0
    """Outgoing HTTP calls, and for how long at least one was under way."""
    calls_ms: float = 0.0

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.kind} {self.name} {self.route}"
