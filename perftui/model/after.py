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


class ChannelSummary(Record, frozen=True):
    """What went over the connections of one route, over the window."""

    route: str
    """`WS /chat/{room}`, or the route of a stream."""
    kind: str
    """`websocket`, `events`, `stream`."""
    open: int = 0
    opened: int = 0
    closed: int = 0
    received: int = 0
    """Messages from clients, and to them; of a stream, parts of its body."""
    received_per_s: float | None = None
    received_bytes_per_s: float | None = None
    sent: int = 0
    sent_per_s: float | None = None
    sent_bytes_per_s: float | None = None
    first_p95_ms: float | None = None
    """To the first message out."""
    firsts: int = 0
    lasted_p50_ms: float | None = None
    handled: int = 0
    """Messages whose handling was timed: to the reply, or to asking for the next one, without what is no work
    of the handler's."""
    handling_p50_ms: float | None = None
    handling_p95_ms: float | None = None
    handling_max_ms: float | None = None
    handling_ms: float = 0.0
    """In sum."""
    unjudged: int = 0
    """Messages that there were too many of, or that nobody saw in time, to tell how long each took."""
    replies: int = 0
    queued: int = 0
    """Messages after which the next had been waiting."""
    held_ms: float = 0.0
    """How long the loop was held by others meanwhile, and how long handlers waited for others' news."""
    news_ms: float = 0.0
    under_way: int = 0
    """Messages that the app has now, without a reply, and how long it has had the first of them."""
    longest_ms: float = 0.0
    blocked: int = 0
    """Sends that were held up."""
    blocked_p95_ms: float | None = None
    """Of all sends."""
    blocked_max_ms: float | None = None
    blocked_ms: float = 0.0
    sending: int = 0
    """Sends that are held up now, and for how long the first of them."""
    sending_longest_ms: float = 0.0
    errors: int = 0
    failures: Mapping[str, int] = msgspec.field(default_factory=dict)
    codes: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Closed WebSockets by their code."""
    sql: int = 0
    """What the handlers of WebSockets asked."""
    sql_ms: float = 0.0
    cache: int = 0
    cache_ms: float = 0.0
    calls: int = 0
    calls_ms: float = 0.0

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.kind} {self.route}"
