"""Which seconds are to be kept as they were, whatever comes after them: by what the worker itself knows.

Findings are judged by whoever watches, and at night nobody does. So the box goes by signs that need no judge:
the loop held for a second, an answer in five that is an error, nobody who could get a connection, a client
refused at the door, a sibling silent or dead, a trigger that has fired. Each stands behind a finding of high
severity. What is grave only once it lasts is `triggers.lasting`'s.
"""

from __future__ import annotations

from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import Listener

HELD_NS = 1_000_000_000

FAILING_SHARE, FAILING_AT_LEAST = 0.2, 5

FULL_SHARE, WAITING_AT_LEAST = 0.5, 4
"""Of a queue before the app: connections that the host refuses meanwhile are its own."""


def is_grave(frame: Frame) -> bool:
    """Tell whether something went wrong in a frame's span that somebody will ask for."""
    if frame.evidence or any(each.ns >= HELD_NS for each in frame.incidents):
        return True
    if any(pool.timeouts for pool in frame.pools) or any(each.pool_timeouts for each in frame.upstreams):
        return True
    if frame.listen_overflows and any(map(_is_full, frame.listeners)):
        return True
    failed = sum([route.status.server_error for route in frame.routes])
    return failed >= FAILING_AT_LEAST and failed >= FAILING_SHARE * sum(
        [route.status.total() for route in frame.routes]
    )


def _is_full(listener: Listener) -> bool:
    most = max(listener.most or 0, listener.waiting or 0)
    return bool(listener.limit) and most >= max(FULL_SHARE * (listener.limit or 0), WAITING_AT_LEAST)
