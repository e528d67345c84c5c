"""Which seconds are to be kept as they were, whatever comes after them: by what the worker itself knows.

Findings are judged by whoever watches, and at night nobody does. So the box goes by signs that need no judge:
the loop held for a second, an answer in five that is an error, nobody who could get a connection, a sibling
silent or dead, a trigger that has fired. Each stands behind a finding of high severity.
"""

from __future__ import annotations

from perftui_agent.wire.frames import Frame

HELD_NS = 1_000_000_000

FAILING_SHARE, FAILING_AT_LEAST = 0.2, 5


def is_grave(frame: Frame) -> bool:
    """Tell whether something went wrong in a frame's span that somebody will ask for."""
    if frame.evidence or any(each.ns >= HELD_NS for each in frame.incidents):
        return True
    if any(pool.timeouts for pool in frame.pools):
        return True
    failed = sum([route.status.server_error for route in frame.routes])
    return failed >= FAILING_AT_LEAST and failed >= FAILING_SHARE * sum(
        [route.status.total() for route in frame.routes]
    )
