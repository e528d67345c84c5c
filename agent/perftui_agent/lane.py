"""Requests like most others: counted by their route as they end, and their record forgotten.

Of a success that was answered at once, that no probe has noted anything of, and that was no slower than
those that are told of one by one, nothing is ever said but what it adds to the sums and quantiles of its
route. So a route that is asked for often has a lane, by which the app's thread gives just that, and the
agent's takes in all of them at once, in a fifth of the steps that a record takes there: none is looked at by
itself, nor kept until then. Whatever is otherwise about a request, its record goes its way (`Window.ended`).

No thread takes a lock. The app's appends, the agent's takes from the front what there is. Whether a request
may pass is asked after its end was noted: from then on nobody leaves a part with it (see `handover`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from perftui_agent.records import HEADERS_FROM_BYTES, MAX_PENDING, Headers, RequestRecord

Passed: TypeAlias = tuple[int, int, int, int, bool]
"""Of one request: how long it took, the size of its body, how long it took to make bytes of that (0: not
known), how long it had waited for the app (-1: not known), and whether it was followed."""

LONGEST_NS = 5_000_000
"""One that takes longer goes the other way: it may have waited for a block of the loop or be one, and whoever
looks at requests in flight may have met it. Nor does it matter then what it costs."""

CLOSED_NS = -1
"""The `below_ns` of a lane that nobody may take: nothing has been told of in full yet."""


class Lane:
    """The lane of one route."""

    __slots__ = ("below_ns", "ended_ns", "headers", "passed")

    def __init__(self) -> None:
        self.below_ns = CLOSED_NS
        """Who takes longer is told of, or may have to be; written on the agent's thread."""
        self.passed: list[Passed] = []
        self.headers: list[Headers] = []
        """Of those responses that are large enough to be worth compressing."""
        self.ended_ns = 0
        """When the last one did."""

    def passes(self, record: RequestRecord, head: Mapping[str, Any] | None) -> bool:
        """Count a success that has ended and left no parts, if there is no more to tell of it; on the app's
        threads. `head` is the message that has started the response."""
        ns, queue_ns = record.ended_ns - record.started_ns, record.queue_ns
        if queue_ns > 0:
            ns += queue_ns
        followed, passed = record.followed, self.passed
        if ns > self.below_ns or len(passed) >= MAX_PENDING or not (followed or record.counted is None):
            return False
        record.folded = True
        self.ended_ns = record.ended_ns
        size = record.body_bytes
        passed.append((ns, size, record.serialize_ns, queue_ns, followed))
        if size >= HEADERS_FROM_BYTES and head and (headers := head.get("headers")) is not None:
            self.headers.append(headers)
        return True

    def take(self) -> tuple[list[Passed], list[Headers]]:
        """Take out what there is so far; on the agent's thread."""
        passed, headers = self.passed, self.headers
        taken, of_large = passed[: len(passed)], headers[: len(headers)]
        del passed[: len(taken)], headers[: len(of_large)]
        return taken, of_large
