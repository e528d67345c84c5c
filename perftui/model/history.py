"""The last fifteen minutes of a service, in bins of wall-clock seconds.

Blocks of ten seconds hold seconds, seconds hold the frames of that second, one per worker. A frame
belongs to the whole second its span ended in, so frames of all workers of one second meet in one bin;
a thinned frame of ten seconds belongs to the block in which most of it lies. Each node adds up what is
below it when it is first asked, and remembers.

As they age, seconds let go of their frames and blocks of their seconds, so that memory is bounded
whatever the load. Old time is therefore coarser: at the edges of a window an old block counts if its
middle lies within. Nodes are values; adding a frame copies the path to its bin and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import msgspec

from perftui.model.happenings import IncidentRow
from perftui.model.measures import Latency
from perftui.model.quantiles import latency_of, quantile_ms
from perftui.model.steps import Steps, finished
from perftui.model.tally import (
    NO_TALLY,
    Counted,
    Second,
    Tally,
    counted,
    is_thinned,
    tally_of,
    total,
)
from perftui.record import Record
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.parts import RouteLabel, WorkerId

SECOND_S = 1
BLOCK_S = 10

KEPT_S = 15 * 60

FRAMES_AGE_S = 1
"""How old a second may be before it lets go of its frames: they are what takes the most memory."""

SECONDS_AGE_S = 80
"""How old a block may be before it lets go of its seconds: a window of a minute is exact to the second."""


@dataclass(frozen=True, eq=False)
class Node:
    """A stretch of `span_s` seconds from the bin `start` on. Equal only to itself."""

    start: Second
    span_s: int
    seconds: Mapping[Second, Node] = field(default_factory=dict)
    """Of a block."""
    frames: tuple[Counted, ...] = ()
    """Of a second: those that `kept` doesn't hold yet."""
    kept: Tally = NO_TALLY
    """What was below and has been let go."""

    @property
    def end(self) -> Second:
        """The first bin after it."""
        return self.start + self.span_s

    @cached_property
    def tally(self) -> Tally:
        """Everything counted in it."""
        return finished(self._added_up())

    def add_up(self) -> Steps[Tally]:
        """Add up what is counted in it, in steps, and remember it."""
        if "tally" not in self.__dict__:
            self.__dict__["tally"] = yield from self._added_up()
        return self.tally

    def _added_up(self) -> Steps[Tally]:
        if self.seconds:
            seconds = yield from added_up(self.seconds.values())
            return (yield from total([self.kept, *seconds]))
        if self.frames:
            counted_now = yield from tally_of(self.frames)
            return (yield from total([self.kept, counted_now], same_time=True))
        return self.kept

    @cached_property
    def latency(self) -> Latency:
        """That of all requests in it."""
        return latency_of(self.tally.latency)

    @cached_property
    def rps(self) -> float | None:
        """Requests a second; of several workers the sum of theirs."""
        covered_s = min(self.tally.covered_s, float(self.span_s))
        if not covered_s:
            return None
        # A worker that sends a frame every other second has two seconds' requests in it.
        return sum(each.requests / max(each.covered_s, covered_s) for each in self.tally.workers.values())

    def route_p95_ms(self, route: RouteLabel) -> float | None:
        """Return the p95 of a route in it; None if it had no request."""
        if route not in self._routes_p95_ms:
            part = self.tally.routes.get(route)
            self._routes_p95_ms[route] = quantile_ms(part.latency, 0.95) if part else None
        return self._routes_p95_ms[route]

    def worker_p95_ms(self, worker: WorkerId) -> float | None:
        """Return the p95 of a worker in it; None if it had no request."""
        if worker not in self._workers_p95_ms:
            part = self.tally.workers.get(worker)
            self._workers_p95_ms[worker] = quantile_ms(part.latency, 0.95) if part else None
        return self._workers_p95_ms[worker]

    # Only what is on the screen is asked for, again and again: all routes of a second would be 2 ms.

    @cached_property
    def _routes_p95_ms(self) -> dict[RouteLabel, float | None]:
        return {}

    @cached_property
    def _workers_p95_ms(self) -> dict[WorkerId, float | None]:
        return {}

    def worker_rss(self, worker: WorkerId) -> int | None:
        """Return a worker's RSS at the end of it."""
        part = self.tally.workers.get(worker)
        return part.last.process.rss_bytes if part else None

    def with_frame(self, second: Second, worker: WorkerId, frame: Frame) -> Node:
        """Return it with one more frame."""
        if self.span_s == BLOCK_S:
            node = self.seconds.get(second) or Node(second, SECOND_S)
            return replace(self, seconds={**self.seconds, second: node.with_frame(second, worker, frame)})
        known: Tally | None = self.__dict__.get("tally")
        if known is not None:  # a frame is added up once, however often it is asked in between
            return Node(second, SECOND_S, frames=(counted(worker, frame, second),), kept=known)
        frames = (*self.frames, counted(worker, frame, second))
        return Node(second, SECOND_S, frames=frames, kept=self.kept)

    def folded(self) -> Node:
        """Return it with all that is below added up and let go."""
        return Node(self.start, self.span_s, kept=self.tally) if self.seconds or self.frames else self


class History(Record, frozen=True):
    """What is known of the past."""

    blocks: Mapping[Second, Node] = msgspec.field(default_factory=dict)
    newest: Second = 0
    """The latest bin with a frame; 0 when there is none."""
    growing: Second = 0
    """The old bin that the last frame was of: it is added up when the next one begins.

    What workers remember comes second by second, one worker after the other: added up together, the seconds
    of four take 5 ms instead of 12.
    """

    def with_frame(self, worker: WorkerId, frame: Frame) -> History:
        """Return it with one more frame; one too old to keep changes nothing."""
        second = _bin_of(frame)
        if second <= self.newest - KEPT_S:
            return self
        start = second - second % BLOCK_S
        block = (self.blocks.get(start) or Node(start, BLOCK_S)).with_frame(second, worker, frame)
        blocks = {**self.blocks, start: block}
        if second > self.newest:
            return History(_aged(blocks, second), second)
        growing = second if second < self.newest - FRAMES_AGE_S else self.growing
        if self.growing not in {0, growing}:
            done = self.growing - self.growing % BLOCK_S
            blocks[done] = _with_folded(blocks[done], self.growing)
        return History(blocks, self.newest, growing)

    def until(self, last: Second) -> History:
        """Return it without what came after the bin `last`: for when the clock was set back."""
        blocks = {start: block for start, block in self.blocks.items() if block.end <= last + 1}
        newest = max((block.end - 1 for block in blocks.values()), default=0)
        return History(blocks, newest)

    def cover(self, first: Second, last: Second) -> list[Node]:
        """Return the fewest nodes that make up the bins `first` to `last`, in order of time."""
        found: list[Node] = []
        for start in sorted(self.blocks):
            block = self.blocks[start]
            if block.end > first and start <= last:
                found += self._cover(block, first, last)
        return found

    def _cover(self, block: Node, first: Second, last: Second) -> Iterator[Node]:
        within = first <= block.start and block.end <= last + 1
        # What is not over yet changes every second; its seconds remember their tallies better.
        if block.kept.to_ns or (within and block.end <= self.newest):
            if within or first <= block.start + BLOCK_S // 2 <= last:
                yield block
        else:
            for second in sorted(block.seconds):
                if first <= second <= last:
                    yield block.seconds[second]

    def steps(self, first: Second, last: Second, step_s: int) -> list[Node | None]:
        """Return the bins of `step_s` (1 or 10) seconds that `first` to `last` touch; None: nothing there."""
        found: list[Node | None] = []
        for start in range(first - first % step_s, last + 1, step_s):
            node = self.blocks.get(start - start % BLOCK_S)
            if node is not None and step_s == SECOND_S:
                node = node.seconds.get(start)
            found.append(node)
        return found

    def held(self, at_least_ns: int) -> list[IncidentRow]:
        """Return the loops that were held for so long and longer, as long as each was in the end."""
        found: dict[tuple[WorkerId, int], IncidentRow] = {}
        for node in self.cover(self.newest - KEPT_S, self.newest):
            for row in node.tally.incidents:
                have = found.get((row.worker, row.incident.at))
                if row.incident.ns >= max(at_least_ns, have.incident.ns if have else 0):
                    found[row.worker, row.incident.at] = row
        return list(found.values())

    def heard_at(self, worker: WorkerId, at: float) -> float | None:
        """Return when a worker was last heard before a moment of which only the ten seconds are kept.

        None if those are told second by second, or it told of nothing in them.
        """
        second = math.floor(at)
        block = self.blocks.get(second - second % BLOCK_S)
        part = None if block is None or block.seconds else block.tally.workers.get(worker)
        return None if part is None or part.from_ns > at * 1e9 else min(part.to_ns / 1e9, at)

    def exact_from(self) -> Second:
        """Return the first bin from which on every second is still told apart."""
        return self.newest - SECONDS_AGE_S


NO_HISTORY = History()


def added_up(nodes: Iterable[Node]) -> Steps[list[Tally]]:
    """Return what each of `nodes` has counted."""
    known = list(nodes)
    for node in known:
        yield from node.add_up()
    return [node.tally for node in known]


def sum_of(nodes: Iterable[Node]) -> Steps[Tally]:
    """Return what all of `nodes` have counted."""
    return (yield from total((yield from added_up(nodes))))


def _bin_of(frame: Frame) -> Second:
    second = frame.ended_at // 1_000_000_000
    if not is_thinned(frame):
        return second
    # At the beginning of its block: there the thinned frames of all workers meet.
    middle = second - (round(frame.span_ns / 1e9) - 1) // 2
    return middle - middle % BLOCK_S


def _with_folded(block: Node, second: Second) -> Node:
    return replace(block, seconds={**block.seconds, second: block.seconds[second].folded()})


def _aged(blocks: Mapping[Second, Node], newest: Second) -> dict[Second, Node]:
    """Return `blocks` without what they are too old to hold."""
    aged = {start: block for start, block in blocks.items() if block.end > newest - KEPT_S}
    for start, block in aged.items():
        if block.end <= newest - SECONDS_AGE_S:
            aged[start] = block.folded()
            continue
        for second, node in block.seconds.items():
            if node.frames and second < newest - FRAMES_AGE_S:
                aged[start] = _with_folded(aged[start], second)
    return aged
