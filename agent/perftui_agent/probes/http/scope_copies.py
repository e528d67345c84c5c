"""Finds the copy of a request's scope in which a router has noted down where the request went.

A middleware may hand a copy of the scope on, with another path even (a language or a tenant cut off its
front): then the scope that the server gave says nothing of the route, and its path may fit none. Whoever
sends the response is still on the way that led there: the frames that wait for us, or those that an
exception came through, have the copy. Looked for only where the original's path leads to no route, or to one
that takes any path. Not found is a copy in a task of its own, as below a `BaseHTTPMiddleware`; with an early
Starlette (0.36), which sends in such a task, above one as well.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType

from perftui_agent.places import is_ours
from perftui_agent.records import Scope

MAX_FRAMES = 100
"""Of either way, from where it ends: a dozen layers of middleware take some forty."""

MARKER = "perftui.seen"
"""The one key added to a scope: whoever sees it knows that the request is already being timed. Its value,
when that began, is how a copy is known for one of this request's."""


def routed_copy_of(scope: Scope) -> Scope | None:
    """Return a copy of this scope that a router has worked on; called while the response is sent."""
    for way in (_waiting(), _come_through()):
        for frame in way:
            code = frame.f_code
            if is_ours(code.co_filename) or "scope" not in code.co_varnames + code.co_cellvars:
                continue
            copy = frame.f_locals.get("scope")
            if copy is scope:  # from here on outwards it is nobody's copy
                break
            if isinstance(copy, dict) and "endpoint" in copy and copy.get(MARKER) == scope.get(MARKER):
                return copy
    return None


def _waiting() -> Iterator[FrameType]:
    """Yield the frames that wait for the one that asks, the innermost first."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(MAX_FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _come_through() -> Iterator[FrameType]:
    """Yield the frames through which an exception that is being handled came, the innermost first."""
    error = sys.exc_info()[1]
    step = error.__traceback__ if error is not None else None
    if error is not None and step is not None and is_ours(step.tb_frame.f_code.co_filename):
        # Ours, that the scope has no route: it has come while theirs is handled.
        step = error.__context__.__traceback__ if error.__context__ is not None else None
    frames: list[FrameType] = []
    while step is not None:
        frames.append(step.tb_frame)
        step = step.tb_next
    yield from frames[: -MAX_FRAMES - 1 : -1]
