"""What goes over connections that stay open: WebSockets, event streams, responses of unknown length."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from perftui_agent.sketch import Count, LatencySketch

Nanoseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A duration."""

Bytes: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A size."""


class ChannelFrame(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What went over the connections of one route in a frame's span."""

    route: str
    """`WS /chat/{room}`, or the route of a stream."""
    kind: str
    """`websocket`, `events` (`text/event-stream`) or `stream`."""
    open: Count = 0
    """Connections at the end of the span."""
    opened: Count = 0
    closed: Count = 0
    received: Count = 0
    """Messages from clients …"""
    received_bytes: Bytes = 0
    sent: Count = 0
    """… and to them; of a stream, parts of its body."""
    sent_bytes: Bytes = 0
    first: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """From the accepted handshake, or the client's first message, to the first message out; of a stream, from
    the arrival of its request."""
    lasted: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """Of those that were closed, from their beginning."""
    handling: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """From a message received to the reply, or to asking for the next one where there was no reply or that
    had to wait. Not in it: sending, waiting for what others have to say, and a loop that others held."""
    unjudged: Count = 0
    """Messages of which nobody knows how long each took its handler: there were too many, or nobody came to
    look in time what it waited for."""
    replies: Count = 0
    """Of the messages in `handling`, those that were replied to before the next was asked for."""
    queued: Count = 0
    """Of those, the ones after which the next had been waiting."""
    held_ns: Nanoseconds = 0
    """How long the loop was held by others meanwhile, …"""
    news_ns: Nanoseconds = 0
    """… and how long handlers waited for what others have to say."""
    under_way: Count = 0
    """Messages that the app has at the end of the span, without a reply, and how long it has had the first of
    them."""
    longest_ns: Nanoseconds = 0
    blocked: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """How long sends took that were held up, by a client that does not read or a network that is full."""
    blocked_ns: Nanoseconds = 0
    sending: Count = 0
    """Sends that were held up at the end of the span, and for how long the first of them."""
    sending_longest_ns: Nanoseconds = 0
    errors: Count = 0
    """Connections that ended by an exception that no handler took."""
    failures: dict[str, Count] = {}
    """Those by their name."""
    codes: dict[str, Count] = {}
    """Closed WebSockets by their code."""
    sql_count: Count = 0
    """What the handlers of WebSockets asked; of a stream it is its request's."""
    sql_ns: Nanoseconds = 0
    transaction_ns: Nanoseconds = 0
    cache_count: Count = 0
    cache_ns: Nanoseconds = 0
    http_count: Count = 0
    http_ns: Nanoseconds = 0
