"""How the app's threads hand over what a request has done: a part in full, or how long a statement took.

Parts wait on the record of their request, which is folded with all of them at once. No thread takes a lock,
and yet nothing is lost or counted twice, however many threads work for one request and whenever the agent's
takes out what is there. CPython lets another thread run after a call, at the end of a loop's turn and as a
function begins, and (3.11) where a container is made, which may collect garbage. Between a test and the
one call that it guards there is none of these: each `if … is over` below and the step after it are one.

All return False if the request is over, or has more waiting than it may: then it is somebody else's turn.
"""

from __future__ import annotations

from perftui_agent.records import RequestPart, RequestRecord, Shape

MAX_WAITING = 4_096
"""Parts of one request that wait for the agent's thread: what a beat usually takes away within 50 ms."""


def hand_over(request: RequestRecord, part: RequestPart) -> bool:
    """Leave a part, which does not know its request, with it; on the app's threads."""
    parts = request.parts
    if parts is None:
        first = [part]
        if request.parts is None and not request.ended_ns:
            request.parts = first
            return True
    elif len(parts) >= MAX_WAITING:
        return False
    if request.ended_ns or (parts := request.parts) is None:
        return False
    parts.append(part)
    return True


def count(request: RequestRecord, shape: Shape, ns: int) -> bool:
    """Leave with a request that is not followed how long a statement took; on the app's threads."""
    while not request.ended_ns:
        counted = request.counted
        if counted is None:
            first = {shape: [ns]}
            if request.counted is None and not request.ended_ns:
                request.counted = first
                return True
        elif shape in counted:
            counted[shape].append(ns)
            return True
        else:
            mine = [ns]
            # It may have ended since the loop's turn began: another thread may have run as `mine` was made.
            ended_ns: int = request.ended_ns
            if not ended_ns and counted.setdefault(shape, mine) is mine:
                return True
    return False


def take_parts(request: RequestRecord) -> list[RequestPart]:
    """Take out what there is so far, from a request that may be under way; on the agent's thread."""
    parts = request.parts
    if not parts:
        return []
    taken = parts[: len(parts)]
    del parts[: len(taken)]
    return taken


def take_counted(request: RequestRecord) -> list[tuple[Shape, list[int]]]:
    """Take out what has been counted so far; on the agent's thread."""
    counted = request.counted
    return [counted.popitem() for _ in range(len(counted))] if counted else []
