"""What grows in this worker's memory: by line, by type and by route, between two moments.

Takes a request, gives a `Memory`, or a `Refusal`. Python's own `tracemalloc` notes where each block was asked
for, which makes what allocates up to ten times slower while it is on: so it is asked for by name, bound in
time and in the memory that it takes itself, and always switched off again. What was allocated before the
first moment is not seen, nor what C libraries ask the system for: the growth of the whole process stands
beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

import msgspec
import psutil

from perftui_agent.inspect.profile import Tell
from perftui_agent.inspect.text import printable
from perftui_agent.places import is_ours, is_user_code, short_file
from perftui_agent.wire.actions import GrownLine, GrownType, Memory, MemoryRequest, Progress
from perftui_agent.wire.dumps import Refusal

LONGEST_S = 600.0

SETTLES_SHARE = 0.25
"""Of the time, before the first moment: caches and pools that fill up at once are no growth."""

FRAMES = 16
"""Frames kept of each block's stack: from the line that asked for it to the endpoint that it worked for."""

MOST_OWN_BYTES = 64 * 1024 * 1024
"""What the tracing itself may take; then it ends early. It is 49 bytes for each block that lives, and a
snapshot holds the GIL for 0.7 µs each: for a second at most, where supervisors end who is silent for 5 s."""

_PROBES = "/perftui_agent/probes/"
"""What of ours passes the app's own calls on; everything else of ours works for the agent alone."""

MAX_LINES = 50
MAX_TYPES = 30

TELL_EVERY_S = 1.0

COUNTED_AT_ONCE = 50_000
"""Objects whose types are counted before the thread lets go of the GIL."""


class Endpoint(NamedTuple):
    """An endpoint's code: where it stands, and which route leads to it."""

    file: str
    first_line: int
    last_line: int
    route: str


Endpoints: TypeAlias = Callable[[], Sequence[Endpoint]]
"""Returns the endpoints of the app."""


async def take_memory(
    request: MemoryRequest, pid: int, *, endpoints: Endpoints, tell: Tell, finish: asyncio.Event
) -> Memory | Refusal:
    """Return what has grown in this process; tracing is off when this returns, raises or is cancelled."""
    if pid != os.getpid():
        return Refusal(
            id=request.id,
            reason=f"only worker {pid} itself can tell what grows in it, and it does not answer",
            advice="dump it: perftui dump --worker " + str(pid),
        )
    if tracemalloc.is_tracing():
        return Refusal(
            id=request.id,
            reason="tracemalloc is on already: the app or somebody else uses it",
            advice="switch it off (PYTHONTRACEMALLOC, tracemalloc.start) and ask again",
        )
    for_s = min(max(request.for_s, 1.0), LONGEST_S)
    watch = _Watch(request.id, for_s, tell, finish)
    taken_at, began = time.time_ns(), time.monotonic()
    tracemalloc.start(FRAMES)
    try:
        await watch.wait(for_s * SETTLES_SHARE)
        first, types_before = tracemalloc.take_snapshot(), await _types()
        rss_before, first_at = _rss(), time.monotonic()
        # From here on: to look at a million objects takes seconds, which are no part of it.
        await watch.wait(for_s * (1 - SETTLES_SHARE))
        last, types_after = tracemalloc.take_snapshot(), await _types()
        rss_after, last_at = _rss(), time.monotonic()
        traced, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Comparing is Python's work of seconds for a million blocks: on a thread, which others get turns beside.
    lines = await asyncio.to_thread(_grown, first, last, endpoints())
    return Memory(
        id=request.id,
        pid=pid,
        taken_at=taken_at,
        took_ns=int((time.monotonic() - began) * 1e9),
        watched_ns=int((last_at - first_at) * 1e9),
        traced_bytes=traced,
        rss_before=rss_before,
        rss_after=rss_after,
        lines=lines[:MAX_LINES],
        lines_cut=max(len(lines) - MAX_LINES, 0),
        types=_more(types_before, types_after),
        note=watch.note,
    )


class _Watch:
    """The time that goes by: tells of it, and ends it early."""

    def __init__(self, request_id: str, for_s: float, tell: Tell, finish: asyncio.Event) -> None:
        self._id, self._for_s, self._tell, self._finish = request_id, for_s, tell, finish
        self._waited_s = 0.0
        self.note = ""

    async def wait(self, seconds: float) -> None:
        """Wait for so long, or until it is to end."""
        began, before_s = time.monotonic(), self._waited_s
        while not self._finish.is_set() and not self.note:
            passed_s = time.monotonic() - began
            self._waited_s = before_s + min(passed_s, seconds)
            if passed_s >= seconds:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._finish.wait(), min(seconds - passed_s, TELL_EVERY_S))
            own = tracemalloc.get_tracemalloc_memory()
            if own > MOST_OWN_BYTES:
                self.note = f"ended early: the tracing itself had taken {own // 2**20} MiB"
            traced, _ = tracemalloc.get_traced_memory()
            done = min(self._waited_s / self._for_s, 1.0)
            await self._tell(Progress(id=self._id, done=done, text=f"{traced / 1e6:.1f} MB since the start"))


async def _types() -> Counter[type]:
    """Return how many objects of each type the collector knows."""
    objects = gc.get_objects()
    counted: Counter[type] = Counter()
    try:
        for at in range(0, len(objects), COUNTED_AT_ONCE):
            counted.update(map(type, objects[at : at + COUNTED_AT_ONCE]))
            await asyncio.sleep(0)
    finally:
        # Nothing of the app's may live on because it was looked at.
        objects.clear()
    return counted


def _more(before: Counter[type], after: Counter[type]) -> list[GrownType]:
    grown = [(kind, number - before[kind]) for kind, number in after.items() if number > before[kind]]
    grown.sort(key=lambda item: -item[1])
    return [
        GrownType(type=printable(f"{kind.__module__}.{kind.__qualname__}", 200), grew=more, now=after[kind])
        for kind, more in grown[:MAX_TYPES]
    ]


class _Line(msgspec.Struct):
    """What one line holds more."""

    bytes: int = 0
    count: int = 0
    routes: dict[str, int] = {}


def _grown(
    before: tracemalloc.Snapshot, after: tracemalloc.Snapshot, endpoints: Sequence[Endpoint]
) -> list[GrownLine]:
    """Return the lines that hold more, those that hold most first."""
    lines: dict[tuple[str, int], _Line] = {}
    for change in after.compare_to(before, "traceback"):
        at = _line_of(change.traceback)
        if at is None:
            continue
        line = lines.setdefault(at, _Line())
        line.bytes += change.size_diff
        line.count += change.count_diff
        route = route_in(((frame.filename, frame.lineno) for frame in change.traceback), endpoints)
        if route:
            line.routes[route] = line.routes.get(route, 0) + change.size_diff
    grown = sorted(
        ((at, line) for at, line in lines.items() if line.bytes > 0), key=lambda item: -item[1].bytes
    )
    return [
        GrownLine(
            file=printable(file, 500),
            line=number,
            short_file=printable(short_file(file), 500),
            grew_bytes=line.bytes,
            count=line.count,
            routes={printable(route, 300): size for route, size in line.routes.items() if size > 0},
        )
        for (file, number), line in grown
    ]


def _line_of(traceback: Iterable[tracemalloc.Frame]) -> tuple[str, int] | None:
    """Return the innermost line of the app's own code, else the innermost; None for what is the agent's."""
    innermost: tuple[str, int] | None = None
    for frame in reversed(list(traceback)):
        if is_ours(frame.filename):
            if _PROBES in frame.filename:
                continue
            return None
        if is_user_code(frame.filename):
            return frame.filename, frame.lineno
        innermost = innermost or (frame.filename, frame.lineno)
    return innermost


def route_in(lines: Iterable[tuple[str, int]], endpoints: Sequence[Endpoint]) -> str:
    """Return the route whose endpoint is in a stack of these lines; empty for none, or for one of several."""
    routes = {
        endpoint.route
        for file, line in lines
        for endpoint in endpoints
        if endpoint.file == file and endpoint.first_line <= line <= endpoint.last_line
    }
    return routes.pop() if len(routes) == 1 else ""


def _rss() -> int | None:
    try:
        return int(psutil.Process().memory_info().rss)
    except psutil.Error:
        return None
