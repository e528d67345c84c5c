"""The slowest requests' section of a frame, and what the parts of all requests sum up to by route.

Only of the slowest is a story made. Of a request that is long under way it is made piece by piece: repeats
of one thing become one span with a count, so a request with 100,000 statements is no longer than one with
ten. Requests that are not followed have no story; the time they spent is in the sums all the same.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappush, heapreplace
from itertools import count
from time import perf_counter_ns

from perftui_agent.locked import KIND, KIND_IN_TRANSACTION
from perftui_agent.records import (
    EVENTS,
    CallRecord,
    RequestPart,
    RequestRecord,
    SpanRecord,
    StatementRecord,
)
from perftui_agent.window.routes import RouteTally, add_to
from perftui_agent.window.targets import TargetTable
from perftui_agent.wire.fitting import SHORT_CHARACTERS, short
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import RouteFrame, SlowRequest, Span

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

    def take(self, span: RequestPart) -> None:
        """Add one more of it."""
        self.count += 1
        self.ns += span.ended_ns - span.started_ns
        self.started_ns = min(self.started_ns, span.started_ns)
        if type(span) is StatementRecord:
            if span.known is not None:
                self.fingerprint = span.known.shape.fingerprint
            if span.call_site:
                self.call_site = span.call_site
            if span.binds is not None:
                if self.binds is None:
                    self.binds = set()
                if len(self.binds) < MAX_BINDS:
                    self.binds.add(span.binds)
        elif type(span) is CallRecord and span.details is not None and span.details.call_site:
            self.call_site = span.details.call_site


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
                kind=KIND if kind == KIND_IN_TRANSACTION else kind,
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
            add_to(route, kind, part.count, part.ns)
        for kind, part in self.rest.items():
            add_to(route, kind, part.count, part.ns)


class StoryLedger:
    """The stories of requests that have not ended, and the slowest of those that have."""

    def __init__(self, bounded: dict[str, int], targets: TargetTable) -> None:
        self._bounded = bounded
        self._targets = targets
        self.held_until_ns = 0
        """The end of the last stretch in which the loop was held: who began before may have waited."""
        self._slow: dict[str, list[tuple[int, int, RequestRecord]]] = {}
        """The slowest requests of each route in this span: heaps of (ns, number, record)."""
        self._usual_ns: dict[str, float] = {}
        self._numbers = count(1)
        self._parts = 0
        """Distinct spans in flight; too many rather than too few: see `_recount`."""
        self._blocks: deque[tuple[int, int, str, RequestRecord | None]] = deque(maxlen=MAX_BLOCKS)

    def fold_part(self, span: RequestPart, request: RequestRecord) -> None:
        """Add a part to the story of a request that is under way, or has been for long."""
        story = request.story
        if story is None:
            story = request.story = Story()
        name = _name_of(span, self._targets)
        if request.followed:
            part = story.parts.get((span.kind, name)) or self._part(story, span.kind, name, span.started_ns)
        else:
            part = _rest(story, span.kind, span.started_ns)
        part.take(span)

    def count_rest(self, request: RequestRecord, kind: str, count: int, ns: int) -> None:
        """Add to the sums of a request that is under way and is not followed."""
        if request.story is None:
            request.story = Story()
        part = _rest(request.story, kind, request.started_ns)
        part.count += count
        part.ns += ns

    def sum_up(self, request: RequestRecord, route: RouteFrame) -> None:
        """Add the sums of a request with a story, which has ended, to those of its route."""
        request.story.sum_up(route)
        self._parts -= len(request.story.parts)

    def fold_block(self, name: str, began_ns: int, ended_ns: int, by: RequestRecord | None) -> None:
        """Remember a stretch in which nobody but `by` could go on."""
        self._blocks.append((began_ns, ended_ns, name, by))
        self.held_until_ns = max(self.held_until_ns, ended_ns)

    def held_between(self, since_ns: int, until_ns: int, by: RequestRecord) -> int:
        """Return for how long anybody but `by` has held the loop between two moments."""
        return sum(ns for ns, holder in self._held(since_ns, until_ns) if holder is not by)

    def held_by(self, since_ns: int, until_ns: int, by: RequestRecord) -> int:
        """Return for how long `by` has held the loop between two moments."""
        return sum(ns for ns, holder in self._held(since_ns, until_ns) if holder is by)

    def _held(self, since_ns: int, until_ns: int) -> Iterator[tuple[int, RequestRecord | None]]:
        for began_ns, ended_ns, _, holder in reversed(self._blocks):
            if ended_ns <= since_ns:
                return
            yield max(0, min(ended_ns, until_ns) - max(began_ns, since_ns)), holder

    def fold_request(self, record: RequestRecord, tally: RouteTally) -> None:
        """Keep a request if it is among the slowest; it may have waited for a block of the loop, too."""
        if record.started_ns < self.held_until_ns:
            self._wait_for_blocks(record, tally.frame)
        ns = record.ended_ns - record.arrived_ns
        if ns <= tally.floor_ns or not record.followed:
            return
        if record.streaming == EVENTS or record.preflight:
            return
        if record.parts is not None and len(record.parts) > MAX_SPANS:
            record.story = _story_of(record, self._targets)
            record.parts = None
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
                frame.slowest.append(_told(record, route, number, wall_ns + record.ended_ns, self._targets))
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
        """Return a new part of a story under way, if there is room."""
        if len(story.parts) < MAX_SPANS and self._parts < MAX_SPANS_IN_FLIGHT:
            self._parts += 1
            part = story.parts[kind, name] = Part(started_ns)
            return part
        return _rest(story, kind, started_ns)

    def _wait_for_blocks(self, record: RequestRecord, route: RouteFrame) -> None:
        for began_ns, ended_ns, name, by in reversed(self._blocks):
            if ended_ns <= record.started_ns:
                return
            since_ns = max(began_ns, record.started_ns)
            until_ns = min(ended_ns, record.ended_ns)
            if by is not record and until_ns > since_ns:
                route.loop_wait_ns += until_ns - since_ns
                waited = SpanRecord(None, "loop", name, since_ns, until_ns)
                record.parts = [*(record.parts or ()), waited]

    def _recount(self, in_flight: Iterable[RequestRecord]) -> None:
        """Count the spans in flight anew: those of requests whose own record was dropped are no more."""
        self._parts = sum(len(record.story.parts) for record in in_flight if record.story is not None)
        if self._parts >= MAX_SPANS_IN_FLIGHT:
            self._bounded["spans"] = self._bounded.get("spans", 0) + 1


def _name_of(span: RequestPart, targets: TargetTable) -> str:
    if type(span) is StatementRecord and span.known is not None:
        return span.known.shape.shown
    if isinstance(span, CallRecord):
        to = span.upstream
        return f"{to.method} {to.host}{targets.shape(to.host, targets.words_of(span.target))}"
    return span.name


def _rest(story: Story, kind: str, started_ns: int) -> Part:
    """Return the sums of what a story has no room for."""
    part = story.rest.get(kind)
    if part is None:
        part = story.rest[kind] = Part(started_ns)
    return part


def _story_of(record: RequestRecord, targets: TargetTable) -> Story:
    """Return the story of a request that has ended, made of what was folded before and what was not."""
    story: Story = record.story or Story()
    for span in record.parts or ():
        key = (span.kind, _name_of(span, targets))
        part = story.parts.get(key)
        if part is None:
            if len(story.parts) < MAX_SPANS:
                part = story.parts[key] = Part(span.started_ns)
            else:
                part = _rest(story, span.kind, span.started_ns)
        part.take(span)
    return story


def _told(record: RequestRecord, route: str, number: int, ended_at: int, targets: TargetTable) -> SlowRequest:
    record.story = story = _story_of(record, targets)
    record.parts = None
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
