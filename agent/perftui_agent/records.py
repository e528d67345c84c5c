"""What the probes write down, and what the window folds.

A record is made and filled on the app's threads and read on the agent's. Nothing here takes a
lock: a record goes to the agent through one `deque.append`, and is not written to afterwards.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias

import msgspec

Scope: TypeAlias = MutableMapping[str, Any]
"""An ASGI scope."""


class Labels(Protocol):
    """Names the routes of one app."""

    def label(self, scope: Scope, status: int = 0) -> str:
        """Return the label of a request; with no `status`, of one that is still in flight."""


# How a request stands towards p95: see `RequestRecord.streaming`.
PLAIN, CHUNKED, EVENTS = 0, 1, 2


class RequestRecord(msgspec.Struct, eq=False, gc=False):
    """One request, from the ASGI call to its last body byte. Moments are `perf_counter_ns`.

    Nothing it holds refers back to it, so the garbage collector need not look.
    """

    started_ns: int
    scope: Scope | None
    """The live scope while the request is in flight, None afterwards: nothing of it is kept."""
    labels: Labels
    """Who can name its route: `route` is empty while it is in flight."""
    route: str = ""
    status: int = 0
    first_byte_ns: int = 0
    ended_ns: int = 0
    body_bytes: int = 0
    streaming: int | None = None
    """None until a part of the body says that more will come. Then PLAIN: of known length all the same;
    CHUNKED: of unknown length; EVENTS: `text/event-stream`."""
    disconnected: bool = False
    preflight: bool = False


class FailureRecord(msgspec.Struct, eq=False):
    """An exception that no handler took."""

    route: str
    type: str
    place: str


class BackgroundRecord(msgspec.Struct, eq=False):
    """How long the app went on after the last body byte."""

    route: str
    ns: int


class SpanRecord(msgspec.Struct, eq=False, gc=False):
    """A stretch of time, most often a part of a request; put when it is over.

    A request's spans are put before the request's own record, so by the time the window folds that,
    its whole story is there.
    """

    request: RequestRecord | None
    """None outside of any request."""
    kind: str
    """As in `wire.frames.Span`: `sql`, `cache`, `pool`, `threadpool`, `loop`, `serialize`."""
    name: str
    started_ns: int
    ended_ns: int
    failed: bool = False


Record: TypeAlias = RequestRecord | FailureRecord | BackgroundRecord | SpanRecord
"""Anything a probe hands to the window."""

current_request: ContextVar[RequestRecord | None] = ContextVar("perftui_request", default=None)
"""The request this task or thread works for."""
