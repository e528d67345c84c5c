"""The time axis of a window: one point per step, gaps included."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Generic, TypeVar, overload

from perftui.model.history import BLOCK_S, KEPT_S, SECOND_S, History, Node, added_up
from perftui.model.measures import Point, Step
from perftui.model.packed import merged
from perftui.model.parts import WorkerPart
from perftui.model.quantiles import quantile_ms
from perftui.model.steps import Steps
from perftui.model.tally import Second
from perftui.model.worker_summary import WorkerTrends
from perftui.record import Record
from perftui_agent.wire.parts import RouteLabel, WorkerId

FINEST_WINDOW_S = 80
"""Up to this length a point is one second, beyond it ten."""

STEPS = 12
"""Parts of a window whose latencies are drawn one below the other."""

LATELY_S = 30
"""Seconds in which a sudden growth shows."""

LONG_PAST = 12
"""Blocks of ten seconds that tell how a figure goes; with fewer, seconds tell more."""

Item = TypeVar("Item")


class Lazy(Sequence[Item], Generic[Item]):
    """A sequence that is worked out when it is first looked at: most rows are never on the screen."""

    def __init__(self, make: Callable[[], tuple[Item, ...]]) -> None:
        self._make = make

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        return self._make()

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Item, ...]: ...

    def __getitem__(self, index: int | slice) -> Item | tuple[Item, ...]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._items == tuple(other)

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


class Axis(Record, frozen=True):
    """The points of a window, and the bins they are made from; None where nothing was measured."""

    points: tuple[Point, ...]
    nodes: Sequence[Node | None]
    past: Sequence[Node]
    """The blocks of ten seconds that were over by the end of the window, as far back as is known."""
    lately: Sequence[Node] = ()
    """The seconds of the last half minute that are known."""

    def route(self, label: RouteLabel) -> Sequence[float | None]:
        """Return the p95 of a route at each point, in ms."""
        return Lazy(lambda: tuple([node.route_p95_ms(label) if node else None for node in self.nodes]))

    def worker(self, worker: WorkerId) -> Sequence[float | None]:
        """Return the p95 of a worker at each point, in ms."""
        return Lazy(lambda: tuple([node.worker_p95_ms(worker) if node else None for node in self.nodes]))

    def worker_trends(self, worker: WorkerId) -> WorkerTrends:
        """Return how the other figures of a worker go."""

        def each(figure: Callable[[WorkerPart], float | None]) -> Sequence[float | None]:
            return Lazy(lambda: tuple([_figure(node, worker, figure) for node in self.nodes]))

        return WorkerTrends(
            cpu_percent=each(lambda part: 100.0 * part.cpu_s / part.cpu_over_s if part.cpu_over_s else None),
            lag_ms=each(lambda part: quantile_ms(part.lag, 0.99)),
            gc_ms=each(lambda part: quantile_ms(part.gc_pauses, 0.99)),
            rps=each(lambda part: part.requests / part.covered_s if part.covered_s else None),
            in_flight=each(lambda part: part.last.in_flight),
            threads=each(lambda part: part.last.threadpool.used if part.last.threadpool else None),
        )

    def steps(self, label: RouteLabel) -> Sequence[Step]:
        """Return what a route did over each of `STEPS` parts of the window."""
        return Lazy(lambda: tuple(self._steps(label)))

    def _steps(self, label: RouteLabel) -> Iterator[Step]:
        length = max(1, math.ceil(len(self.nodes) / STEPS))
        for begin in range(0, len(self.nodes), length):
            nodes = self.nodes[begin : begin + length]
            parts = [part for node in nodes if node and (part := node.tally.routes.get(label))]
            counts = [part.counts() for part in parts]
            yield Step(
                at=self.points[begin + len(nodes) - 1].at,
                latency=merged([part.latency for part in parts]),
                requests=sum([each.requests for each in counts]),
                errors=sum([each.server_error for each in counts]),
                statements=sum([each.sql_count for each in counts]),
                calls=sum([each.http_count for each in counts]),
                sizes=merged([part.body_bytes for part in parts]),
            )

    def memory(self, worker: WorkerId) -> Sequence[tuple[float, int]]:
        """Return moments and RSS of a worker: all that is known if that is long, else of the window."""
        return Lazy(lambda: self._memory(worker))

    def memory_lately(self, worker: WorkerId) -> Sequence[tuple[float, int]]:
        """Return moments and RSS of a worker for each of the last seconds."""
        return Lazy(lambda: _memory_of(worker, self.lately))

    def _memory(self, worker: WorkerId) -> tuple[tuple[float, int], ...]:
        past = _memory_of(worker, self.past)
        if len(past) >= LONG_PAST:
            return past
        return tuple(
            [
                (point.at, rss)
                for point, node in zip(self.points, self.nodes, strict=True)
                if node is not None and (rss := node.worker_rss(worker)) is not None
            ]
        )


def _memory_of(worker: WorkerId, nodes: Sequence[Node]) -> tuple[tuple[float, int], ...]:
    known = [(node.end, node.worker_rss(worker)) for node in nodes]
    return tuple([(float(end), rss) for end, rss in known if rss is not None])


def axis_of(history: History, first: Second, last: Second) -> Steps[Axis]:
    """Return the axis of the bins `first` to `last`."""
    fine = last - first < FINEST_WINDOW_S and first >= history.exact_from()
    step_s = SECOND_S if fine else BLOCK_S
    nodes = history.steps(first, last, step_s)
    starts = range(first - first % step_s, last + 1, step_s)
    yield from added_up(_known(nodes))
    points = tuple(
        [
            _point(float(min(start + step_s - 1, last)), node)
            for start, node in zip(starts, nodes, strict=True)
        ]
    )
    # A block that isn't over yet would be added up anew each second.
    over = min(last, history.newest) - 2 * BLOCK_S + 1
    past = history.steps(history.newest - KEPT_S, over, BLOCK_S)
    lately = history.steps(last - LATELY_S + 1, last, SECOND_S)
    return Axis(points, nodes, _known(past), _known(lately))


def _known(nodes: Sequence[Node | None]) -> list[Node]:
    return [node for node in nodes if node is not None]


def _figure(
    node: Node | None, worker: WorkerId, figure: Callable[[WorkerPart], float | None]
) -> float | None:
    part = node.tally.workers.get(worker) if node else None
    return figure(part) if part else None


def _point(at: float, node: Node | None) -> Point:
    if node is None:
        return Point(at)
    tally, latency = node.tally, node.latency
    requests = tally.requests
    return Point(
        at=at,
        rps=node.rps,
        error_rate=tally.errors / requests if requests else None,
        p50_ms=latency.p50_ms,
        p95_ms=latency.p95_ms,
        p99_ms=latency.p99_ms,
        in_flight=tally.in_flight,
    )
