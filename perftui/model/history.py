"""The last fifteen minutes of a service, in bins of wall-clock seconds.

A tree: minutes hold blocks of ten seconds, blocks hold seconds, seconds hold the frames of that
second, one per worker. A frame belongs to the whole second its span ended in, so frames of all
workers of one second meet in one bin. Each node adds up what is below it once and remembers the
result; a window is covered with the fewest, largest nodes that lie within it.

As nodes age they keep their tally and let go of what is below, so that memory is bounded whatever
the load. Old time is therefore coarser: at the edges of a window an old node counts if its middle
lies within. Nodes are values; adding a frame copies the path to its bin and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import is_

from perftui.model.splits import Splits, merge_splits, splits_of
from perftui.model.tally import Tally, tally_of
from perftui.model.trace import Trace, trace_of
from perftui_agent.wire.frames import Frame, WorkerId

Second = int
"""A wall-clock second since the epoch, as in `frame.ended_at // 1e9`."""

SECOND_S = 1
BLOCK_S = 10
MINUTE_S = 60

KEPT_S = 15 * MINUTE_S

_CHILD_SPAN = {MINUTE_S: BLOCK_S, BLOCK_S: SECOND_S}

# How old a node may be (from its end to the newest frame) before it lets go of …
_FRAMES_AGE_S = 5  # … its seconds' frames: late ones have come by then
_SPLITS_AGE_S = 80  # … what each worker's share of each route was
_SECONDS_AGE_S = 80  # … its seconds: a window of one minute is exact to the second
_BLOCKS_AGE_S = 310  # … its blocks: a window of five minutes is exact to ten seconds


@dataclass(frozen=True, eq=False)
class Node:
    """A stretch of `span_s` seconds from the bin `start` on. Equal only to itself."""

    start: Second
    span_s: int
    children: Mapping[Second, Node] = field(default_factory=dict)
    frames: tuple[tuple[WorkerId, Frame], ...] = ()
    """Of a second alone, and only while it is young."""
    kept: Tally | None = None
    """What was below and has been let go."""
    kept_splits: Splits = field(default_factory=dict)
    kept_traces: Mapping[Second, Trace] = field(default_factory=dict)
    """The traces of children that have been let go."""

    @property
    def end(self) -> Second:
        """The first bin after it."""
        return self.start + self.span_s

    @cached_property
    def tally(self) -> Tally:
        """Everything counted in it."""
        below = [child.tally for child in self.children.values()]
        if self.kept is not None:
            if not below and not self.frames:
                return self.kept
            below.append(self.kept)
        return tally_of(self.frames, below)

    @cached_property
    def splits(self) -> Splits:
        """Each worker's part of each route; empty once it is old."""
        parts = [child.splits for child in self.children.values()]
        parts += [splits_of(self.frames), self.kept_splits]
        parts = [part for part in parts if part]
        return parts[0] if len(parts) == 1 else merge_splits(parts)

    @cached_property
    def trace(self) -> Trace:
        """Its figures for the time axis."""
        return trace_of(self.tally)

    def with_frame(self, second: Second, worker: WorkerId, frame: Frame) -> Node:
        """Return it with one more frame."""
        if self.span_s == SECOND_S:
            return replace(self, frames=(*self.frames, (worker, frame)))
        span_s = _CHILD_SPAN[self.span_s]
        start = second - second % span_s
        child = self.children.get(start) or Node(start, span_s)
        return replace(self, children={**self.children, start: child.with_frame(second, worker, frame)})

    def aged(self, newest: Second) -> Node:
        """Return it without what it is too old to hold, when the newest bin is `newest`."""
        age_s = newest - self.end
        if self.span_s == MINUTE_S and age_s >= _BLOCKS_AGE_S and self.children:
            traces = {start: child.trace for start, child in self.children.items()}
            return Node(self.start, self.span_s, kept=self.tally, kept_traces={**traces, **self.kept_traces})
        if self.span_s == BLOCK_S and age_s >= _FRAMES_AGE_S:
            return self._aged_block(age_s)
        if not self.children:
            return self
        children = {start: child.aged(newest) for start, child in self.children.items()}
        unchanged = all(map(is_, children.values(), self.children.values()))
        return self if unchanged else replace(self, children=children)

    def _aged_block(self, age_s: int) -> Node:
        splits = self.splits if age_s < _SPLITS_AGE_S else {}
        if age_s >= _SECONDS_AGE_S:
            if not self.children and bool(splits) == bool(self.kept_splits):
                return self
            return Node(self.start, self.span_s, kept=self.tally, kept_splits=splits)
        if not any(child.frames for child in self.children.values()):
            return self
        seconds = {start: Node(start, SECOND_S, kept=child.tally) for start, child in self.children.items()}
        return Node(self.start, self.span_s, seconds, kept=self.kept, kept_splits=splits)


@dataclass(frozen=True, slots=True)
class History:
    """What is known of the past."""

    minutes: Mapping[Second, Node] = field(default_factory=dict)
    newest: Second = 0
    """The latest bin with a frame; 0 when there is none."""

    def with_frame(self, worker: WorkerId, frame: Frame) -> History:
        """Return it with one more frame; one too old to keep changes nothing."""
        second = frame.ended_at // 1_000_000_000
        if second <= self.newest - KEPT_S:
            return self
        start = second - second % MINUTE_S
        minute = self.minutes.get(start) or Node(start, MINUTE_S)
        minutes = {**self.minutes, start: minute.with_frame(second, worker, frame)}
        newest = max(second, self.newest)
        if newest // BLOCK_S > self.newest // BLOCK_S or second < self.newest - _FRAMES_AGE_S:
            minutes = {
                start: minute.aged(newest)
                for start, minute in minutes.items()
                if minute.end > newest - KEPT_S
            }
        return History(minutes, newest)

    def until(self, last: Second) -> History:
        """Return it without what came after the bin `last`: for when the clock was set back."""
        minutes = {start: minute for start, minute in self.minutes.items() if minute.end <= last + 1}
        newest = max((minute.end - 1 for minute in minutes.values()), default=0)
        return History(minutes, newest)

    def cover(self, first: Second, last: Second) -> list[Node]:
        """Return the fewest nodes that make up the bins `first` to `last`, in order of time."""
        found: list[Node] = []
        for start in sorted(self.minutes):
            found += self._cover(self.minutes[start], first, last)
        return found

    def _cover(self, node: Node, first: Second, last: Second) -> Iterator[Node]:
        if node.end <= first or node.start > last:
            return
        within = first <= node.start and node.end <= last + 1
        if within and (node.span_s == SECOND_S or node.end <= self.newest):
            # What is not over yet grows every second; its parts remember their tallies better.
            yield node
        elif node.kept is not None or node.span_s == SECOND_S:
            if first <= node.start + node.span_s // 2 <= last:
                yield node
        else:
            for start in sorted(node.children):
                yield from self._cover(node.children[start], first, last)

    def traces(self, first: Second, last: Second, step_s: int) -> dict[Second, Trace]:
        """Return the traces of the bins of `step_s` (1 or 10) seconds that `first` to `last` touch."""
        found: dict[Second, Trace] = {}
        for minute in self.minutes.values():
            if minute.end <= first or minute.start > last:
                continue
            blocks = dict.fromkeys(minute.children) | dict(minute.kept_traces)
            for start, kept in blocks.items():
                if start + BLOCK_S <= first or start > last:
                    continue
                if step_s == BLOCK_S:
                    found[start] = kept or minute.children[start].trace
                elif start in minute.children:
                    seconds = minute.children[start].children
                    found |= {at: node.trace for at, node in seconds.items() if first <= at <= last}
        return found

    def exact_from(self) -> Second:
        """Return the first bin from which on every second is still told apart."""
        return self.newest - _SECONDS_AGE_S


NO_HISTORY = History()
