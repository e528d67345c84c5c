"""The slowest requests' section of a frame, and what the parts of all requests sum up to by route.

The parts of a request are folded as they come, into a story that hangs on its record: repeats of one
thing become one span with a count, so a request with 100,000 statements is no longer than one with ten.
When the record itself comes, its sums go to its route, and the story is kept if it is among the slowest.
A request without parts costs three comparisons.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappush, heapreplace
from itertools import count
from time import perf_counter_ns

from perftui_agent.records import EVENTS, RequestRecord, SpanRecord, StatementRecord
from perftui_agent.window.routes import RouteTally
from perftui_agent.wire.fitting import SHORT_CHARACTERS, short
from perftui_agent.wire.frames import Frame, RouteFrame, SlowRequest, Span

MAX_SPANS = 100
"""Distinct spans told of in one request."""

MAX_SPANS_IN_FLIGHT = 10_000
"""Distinct spans of all requests that have not ended, some 3 MB: past it only sums are kept."""

MAX_BINDS = 1_000
"""Values that are told apart in one span."""

SLOWEST_PER_ROUTE = 3

SLOWEST_PER_FRAME = 30

SLOWEST_ANYWAY = 10
"""So many are told of even if they are no slower than is usual for their route."""

MAX_PATH = 300
"""Characters of a path."""

MAX_BLOCKS = 256
"""Recent blocks of the loop that requests are compared with."""

MAX_USUAL = 2_000
"""Routes of which it is remembered what is usual."""

_WEIGHT_OF_THE_LATEST = 0.1
"""Of a second, in what is usual for a route."""


class Part:
    """Repeats of one thing within one request."""

    __slots__ = ("binds", "call_site", "count", "fingerprint", "ns", "started_ns")

    def __init__(self, started_ns: int) -> None:
        self.started_ns = started_ns
        self.count = 0
        self.ns = 0
        self.call_site = ""
        self.fingerprint: str | None = None
        """Of a statement."""
        self.binds: set[int] | None = None


class Story:
    """What a request has spent its time on so far. Of the agent's thread alone."""

    __slots__ = ("parts", "rest")

    def __init__(self) -> None:
        self.parts: dict[tuple[str, str], Part] = {}
        """By kind and name."""
        self.rest: dict[str, Part] = {}
        """What there was no room for, by kind."""

    def spans(self, request_arrived_ns: int) -> list[Span]:
        """Return the parts, in the order they began."""
        return [
            Span(
                kind=kind,
                name=name if part.fingerprint is None else short(name),
                fingerprint=part.fingerprint,
                start_ns=max(0, part.started_ns - request_arrived_ns),
                ns=part.ns,
                count=part.count,
                call_site=part.call_site or None,
                distinct_binds=None if part.binds is None else len(part.binds),
            )
            for (kind, name), part in sorted(self.parts.items(), key=lambda item: item[1].started_ns)
        ]

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield the statements that a span is too short to tell of, by fingerprint."""
        for (_, name), part in self.parts.items():
            if part.fingerprint is not None and len(name) > SHORT_CHARACTERS:
                yield part.fingerprint, name

    def dropped(self) -> int:
        """Return how many spans are not told of."""
        return sum(part.count for part in self.rest.values())

    def sum_up(self, route: RouteFrame) -> None:
        """Add the request's sums to those of its route."""
        for (kind, _), part in self.parts.items():
            _add(route, kind, part)
        for kind, part in self.rest.items():
            _add(route, kind, part)


def _add(route: RouteFrame, kind: str, part: Part) -> None:
    if kind == "sql":
        route.sql_count += part.count
        route.sql_ns += part.ns
    elif kind == "cache":
        route.cache_count += part.count
        route.cache_ns += part.ns
    elif kind == "pool":
        route.pool_wait_ns += part.ns
    elif kind == "threadpool":
        route.threadpool_wait_ns += part.ns
    elif kind == "loop":
        route.loop_wait_ns += part.ns


class StoryLedger:
    """The stories of requests that have not ended, and the slowest of those that have."""

    def __init__(self, bounded: dict[str, int]) -> None:
        self._bounded = bounded
        self.keeps_stories = True
        """False when the agent has no time for them: then it keeps the sums alone."""
        self.held_until_ns = 0
        """The end of the last stretch in which the loop was held: who began before may have waited."""
        self._slow: dict[str, list[tuple[int, int, RequestRecord]]] = {}
        """The slowest requests of each route in this span: heaps of (ns, number, record)."""
        self._usual_ns: dict[str, float] = {}
        self._numbers = count(1)
        self._parts = 0
        """Distinct spans in flight; too many rather than too few: see `_recount`."""
        self._blocks: deque[tuple[int, int, str, RequestRecord | None]] = deque(maxlen=MAX_BLOCKS)

    def fold_span(self, span: SpanRecord) -> None:
        """Count a part of a request that may be in flight still."""
        request = span.request
        started_ns = span.started_ns
        # What comes after the last byte is no part of the latency.
        if request is None or (request.ended_ns and started_ns >= request.ended_ns):
            return
        story = request.story
        if story is None:
            story = request.story = Story()
        part: Part = story.parts.get((span.kind, span.name)) or self._part(
            story, span.kind, span.name, started_ns
        )
        part.count += 1
        part.ns += span.ended_ns - started_ns
        if isinstance(span, StatementRecord):
            if span.known is not None:
                part.fingerprint = span.known.shape.fingerprint
            if span.call_site:
                part.call_site = span.call_site
            if span.binds is not None:
                if part.binds is None:
                    part.binds = set()
                if len(part.binds) < MAX_BINDS:
                    part.binds.add(span.binds)

    def fold_block(self, name: str, began_ns: int, ended_ns: int, by: RequestRecord | None) -> None:
        """Remember a stretch in which nobody but `by` could go on."""
        self._blocks.append((began_ns, ended_ns, name, by))
        self.held_until_ns = max(self.held_until_ns, ended_ns)

    def fold_request(self, record: RequestRecord, tally: RouteTally) -> None:
        """Give a request's sums to its route, and keep it if it is among the slowest."""
        if record.started_ns < self.held_until_ns:
            self._wait_for_blocks(record)
        if record.story is not None:
            record.story.sum_up(tally.frame)
            self._parts -= len(record.story.parts)
        ns = record.ended_ns - record.arrived_ns
        if ns > tally.floor_ns and self.keeps_stories and record.streaming != EVENTS and not record.preflight:
            heap = self._slow.setdefault(tally.frame.route, [])
            slow = (ns, next(self._numbers), record)
            if len(heap) < SLOWEST_PER_ROUTE:
                heappush(heap, slow)
            else:
                heapreplace(heap, slow)
            if len(heap) == SLOWEST_PER_ROUTE:
                tally.floor_ns = heap[0][0]

    def close(self, frame: Frame, in_flight: Iterable[RequestRecord]) -> None:
        """Hand the slowest over to `frame`."""
        if self._parts > MAX_SPANS_IN_FLIGHT // 2:
            self._recount(in_flight)
        slowest = sorted(
            (
                (ns, number, record, route)
                for route, heap in self._slow.items()
                for ns, number, record in heap
            ),
            key=lambda slow: slow[:2],
            reverse=True,
        )
        wall_ns = time.time_ns() - perf_counter_ns()
        for ns, number, record, route in slowest:
            told = len(frame.slowest)
            if told >= SLOWEST_PER_FRAME:
                break
            if told < SLOWEST_ANYWAY or ns > self._usual_ns.get(route, 0):
                frame.slowest.append(_told(record, route, number, wall_ns + record.ended_ns))
                if record.story is not None:
                    frame.texts |= record.story.texts()
        for statement in frame.statements:
            frame.texts.pop(statement.fingerprint, None)
        self._slow = {}
        self._learn(frame)

    def _learn(self, frame: Frame) -> None:
        for route in frame.routes:
            mean_ns = route.latency.mean()
            if mean_ns is not None:
                usual_ns = self._usual_ns.get(route.route, mean_ns)
                self._usual_ns[route.route] = usual_ns + _WEIGHT_OF_THE_LATEST * (mean_ns - usual_ns)
        if len(self._usual_ns) > MAX_USUAL:
            told = {route.route for route in frame.routes}
            self._usual_ns = {route: ns for route, ns in self._usual_ns.items() if route in told}

    def _part(self, story: Story, kind: str, name: str, started_ns: int) -> Part:
        """Return the part that a stretch belongs to, a new one if there is room."""
        key = (kind, name)
        if key in story.parts:
            return story.parts[key]
        if self.keeps_stories and len(story.parts) < MAX_SPANS and self._parts < MAX_SPANS_IN_FLIGHT:
            self._parts += 1
            story.parts[key] = Part(started_ns)
            return story.parts[key]
        return story.rest.setdefault(kind, Part(started_ns))

    def _wait_for_blocks(self, record: RequestRecord) -> None:
        for began_ns, ended_ns, name, by in reversed(self._blocks):
            if ended_ns <= record.started_ns:
                return
            since_ns = max(began_ns, record.started_ns)
            waited_ns = min(ended_ns, record.ended_ns) - since_ns
            if by is not record and waited_ns > 0:
                if record.story is None:
                    record.story = Story()
                part = self._part(record.story, "loop", name, since_ns)
                part.started_ns = min(part.started_ns, since_ns)
                part.count += 1
                part.ns += waited_ns

    def _recount(self, in_flight: Iterable[RequestRecord]) -> None:
        """Count the spans in flight anew: those of requests whose own record was dropped are no more."""
        self._parts = sum(len(record.story.parts) for record in in_flight if record.story is not None)
        if self._parts >= MAX_SPANS_IN_FLIGHT:
            self._bounded["spans"] = self._bounded.get("spans", 0) + 1


def _told(record: RequestRecord, route: str, number: int, ended_at: int) -> SlowRequest:
    story: Story = record.story or Story()
    if record.serialize_ns:
        part = story.parts["serialize", "the response"] = Part(record.serialize_started_ns)
        part.count, part.ns = 1, record.serialize_ns
    if record.queue_ns > 0:
        part = story.parts["queue", "before the app"] = Part(record.arrived_ns)
        part.count, part.ns = 1, record.queue_ns
    return SlowRequest(
        id=str(number),
        route=route,
        method=record.route.partition(" ")[0],
        path=record.path[:MAX_PATH],
        status=record.status,
        ended_at=ended_at,
        total_ns=record.ended_ns - record.arrived_ns,
        body_bytes=record.body_bytes,
        spans=story.spans(record.arrived_ns),
        spans_dropped=story.dropped(),
    )
