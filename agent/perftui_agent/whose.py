"""For which request the code that runs here works, if for any.

The context says which request a task or thread came from, and goes on to say it after the request has
left: a refresher that the first visitor starts would be his for as long as the process lives. So nobody
reads `current_request` itself; who asks is told of a request that still lives, or of none.
"""

from __future__ import annotations

from contextvars import Context

from perftui_agent.records import RequestRecord, current_request

_current = current_request.get


def request_now() -> RequestRecord | None:
    """Return the request that the running code works for."""
    request = _current()
    return None if request is None or request.left_ns else request


def request_at(began_ns: int) -> RequestRecord | None:
    """Return the request that the running code worked for when it began something, at `began_ns`."""
    request = _current()
    return None if request is None or 0 < request.left_ns <= began_ns else request


def request_in_context(context: Context) -> RequestRecord | None:
    """Return the request that what runs in `context` works for; from any thread."""
    request = context.get(current_request)
    return None if request is None or request.left_ns else request
