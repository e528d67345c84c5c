"""Connections that messages go over: WebSockets, and responses that are streams.

Counted on the app's threads as messages pass, read on the agent's. Counters only ever grow, so nobody needs a
lock: who reads them keeps what he has told. A connection that has something new to tell puts itself on a
list, once: thousands that are silent cost nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import MutableMapping
from time import perf_counter_ns
from typing import Any

from perftui_agent.records import RequestRecord

WEBSOCKET, EVENTS, STREAM = "websocket", "events", "stream"
"""Kinds: `text/event-stream` is `events`, any other response of unknown length a `stream`."""

BLOCKED_FROM_NS = 1_000_000
"""A send that takes less has not been held up: it put its message into the transport's buffer."""

QUEUED_BELOW_NS = 1_000_000
"""Who asks for a message and has it so soon found it waiting."""

MAX_WAITING = 4_096
"""Of one connection: messages and blocked sends that wait for the agent's thread, a second's at most."""


class Handling:
    """One message that was received, until the app asks for the next."""

    __slots__ = (
        "called_ns",
        "looked_ns",
        "news",
        "news_ns",
        "queued",
        "replied_ns",
        "sending_ns",
        "taken_ns",
    )

    def __init__(self, taken_ns: int) -> None:
        self.taken_ns = taken_ns
        self.replied_ns = 0
        """When the first message had been sent after it."""
        self.called_ns = 0
        """When the app asked for the next one, or was done."""
        self.queued = False
        """Whether that one had been waiting."""
        self.sending_ns = 0
        """What was spent on sending meanwhile: that is the client's, or the network's."""
        self.looked_ns = 0
        """When somebody looked what it waits for, and whether that was news …"""
        self.news = False
        self.news_ns = 0
        """… and for how long it has been."""

    def looked_at(self, now_ns: int, *, news: bool) -> None:
        """Note what its handler was seen to wait for: it is taken for so since the last look."""
        if news:
            self.news_ns += now_ns - (self.looked_ns or self.taken_ns)
        self.looked_ns, self.news = now_ns, news

    @property
    def until_ns(self) -> int:
        """When it counts as handled: at the reply, unless none came or the next message had to wait."""
        return self.called_ns if self.queued or not self.replied_ns else self.replied_ns

    @property
    def waited_for_news_ns(self) -> int:
        """For how long it waited for what others have to say."""
        return self.news_ns + (max(0, self.called_ns - self.looked_ns) if self.news else 0)


class Channel:
    """What goes over one connection."""

    __slots__ = (
        "_touched",
        "blocked",
        "blocked_ns",
        "closed_ns",
        "code",
        "error",
        "first_ns",
        "handled",
        "handling",
        "kind",
        "listed",
        "opened_ns",
        "reader",
        "received",
        "received_bytes",
        "record",
        "sending_since_ns",
        "sent",
        "sent_bytes",
        "since_ns",
        "told",
        "untold",
    )

    def __init__(self, kind: str, record: RequestRecord, touched: deque[Channel], opened_ns: int) -> None:
        self.kind = kind
        self.record = record
        """Whose route it has."""
        self.opened_ns = opened_ns
        self.since_ns = opened_ns
        """From when on the first message is waited for: the accepted handshake, or the client's own."""
        self.first_ns = -1
        """How long it took to the first message out; -1 as long as there is none."""
        self.received = self.received_bytes = self.sent = self.sent_bytes = 0
        self.blocked: list[int] = []
        """How long sends took that were held up, …"""
        self.blocked_ns = 0
        """… and how long in all."""
        self.sending_since_ns = 0
        self.handling: Handling | None = None
        self.handled: deque[Handling] = deque(maxlen=MAX_WAITING)
        self.untold = 0
        """Messages that were handled and of which there is no more than that."""
        self.reader: asyncio.Task[Any] | None = None
        """The task that has asked for the last message."""
        self.error = ""
        self.code = 0
        self.closed_ns = 0
        self.listed = False
        """Whether it is on the list."""
        self._touched = touched
        self.told: Any = None
        """What has been told of it. Of the agent's thread alone."""

    def touch(self) -> None:
        """Have it looked at."""
        if not self.listed:
            self.listed = True
            self._touched.append(self)

    def took_out(self, began_ns: int, size: int) -> None:
        """Count a message that has been sent since `began_ns`."""
        ended_ns = perf_counter_ns()
        if self.first_ns < 0:
            self.first_ns = ended_ns - self.since_ns
        self.sent += 1
        self.sent_bytes += size
        took_ns = ended_ns - began_ns
        if took_ns >= BLOCKED_FROM_NS:
            self.blocked_ns += took_ns
            if len(self.blocked) < MAX_WAITING:
                self.blocked.append(took_ns)
        handling = self.handling
        if handling is not None:
            handling.sending_ns += took_ns
            if not handling.replied_ns:
                handling.replied_ns = ended_ns
        self.touch()

    def took_in(self, size: int, before: Handling | None) -> None:
        """Count a message that has been received; `before` is the one that was handled before it."""
        now_ns = perf_counter_ns()
        if before is not None and now_ns - before.called_ns < QUEUED_BELOW_NS:
            before.queued = True
        if self.first_ns < 0 and not self.received:
            self.since_ns = now_ns
        self.received += 1
        self.received_bytes += size
        self.handling = Handling(now_ns)
        self.touch()

    def is_handled(self) -> Handling | None:
        """Note that the app asks for the next message, or is done; return the one that is handled."""
        handling, self.handling = self.handling, None
        if handling is not None:
            handling.called_ns = perf_counter_ns()
            if len(self.handled) >= MAX_WAITING:
                self.untold += 1
            self.handled.append(handling)
            self.touch()
        return handling

    def close(self) -> None:
        """Note that it is over."""
        if not self.closed_ns:
            self.is_handled()
            self.reader = None
            self.closed_ns = perf_counter_ns()
            self.touch()


class SocketRecord(RequestRecord):
    """A WebSocket as one for whom code works: what it asks is its route's."""

    doubted = True
    channel: Channel | None = None


def size_of(message: MutableMapping[str, Any]) -> int:
    """Return how many bytes a message of a WebSocket has."""
    data = message.get("bytes")
    if data is not None:
        return len(data)
    text = message.get("text")
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
