"""What of the grave findings one worker can see by itself, second after second, while nobody watches.

Takes each frame as it is closed, says once for each trouble that it has begun: then the black box keeps the
seconds around. The findings proper are judged by clients, over all workers and with more care; here it is
one worker's own figures, against the bounds from which a finding is of high severity. What needs siblings,
history or names (a share, a comparison, a cause) is left to them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from perftui_agent.guard import Guard
from perftui_agent.trigger import Trigger
from perftui_agent.triggers.watch import Latencies, Observation, holds, observed
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import SloTarget

LASTS_NS = 3_000_000_000
"""For so long in a row it must be there: one bad second is not what one comes back for."""

OVER_NS = 10_000_000_000
"""It is over when it was not there for so long."""

TARGET_WINDOW_S = 10.0

LEAST_REQUESTS = 20
"""Of fewer no target is missed."""

FAR_OFF = 2.0
"""A route's own target is missed gravely from this multiple on."""

WAITS_NS = 500_000_000
THREAD_WAITS_NS = 1_000_000_000
LATE_NS = 500_000_000
QUEUED_NS = 500_000_000
LEAST_WAITS = 5

STOPPED_SHARE, STOPPED_LATE_NS = 0.4, 30_000_000

FAILING_SHARE, FAILING_AT_LEAST = 0.25, 5

GROWTH_OVER_S, GROWN_BYTES, ENDS_IN_S = 8.0, 24_000_000, 120.0
TAKEN, TAKEN_WHILE_LOADING, LOADING_S = 0.02, 0.5, 120.0
"""Of what was left as it began to grow; a young worker loads what it needs."""


class LastingSigns:
    """The signs of this worker. Belongs to the agent's thread."""

    def __init__(self, targets: Iterable[SloTarget], keep: Callable[[str], object], guard: Guard) -> None:
        self._keep = keep
        """Takes the kind of what has begun."""
        self._guard = guard
        self._targets = [_Target(each) for target in targets for each in _conditions(target)]
        self._growth = _Growth()
        self._stands: dict[str, _Stand] = {}

    def note(self, frame: Frame) -> None:
        """Look at what a frame says."""
        with self._guard.guarding("triggers.lasting"):
            self._look(frame)

    def _look(self, frame: Frame) -> None:
        seen = {kind for kind, holds_now in SIGNS.items() if holds_now(frame)}
        if self._targets:
            latencies = Latencies(frame)
            # Each is to see every frame, whatever another says.
            missed = [target.is_missed(frame, latencies) for target in self._targets]
            if any(missed):
                seen.add("slo-breach")
        if self._growth.ends_soon(frame):
            seen.add("memory-growth")
        for kind in seen.difference(self._stands):
            self._stands[kind] = _Stand()
        for kind, stand in list(self._stands.items()):
            if stand.begins(frame.span_ns, kind in seen):
                self._keep(kind)
            if stand.is_over:
                del self._stands[kind]


class _Stand:
    """A sign that is there, or was a moment ago."""

    __slots__ = ("_absent_ns", "_is_told", "_present_ns")

    def __init__(self) -> None:
        self._present_ns = self._absent_ns = 0
        self._is_told = False

    def begins(self, span_ns: int, is_there: bool) -> bool:
        """Take whether it is there in another span; tell, once, that it lasts."""
        self._absent_ns = 0 if is_there else self._absent_ns + span_ns
        self._present_ns = self._present_ns + span_ns if is_there else 0
        # Of three spans that end some milliseconds early, the third is it.
        if self._is_told or self._present_ns < 0.9 * LASTS_NS:
            return False
        self._is_told = True
        return True

    @property
    def is_over(self) -> bool:
        return self._absent_ns >= (OVER_NS if self._is_told else 1)


class _Target:
    """A target of the service, and what was seen of it lately."""

    def __init__(self, missed: Trigger) -> None:
        self._missed = missed
        self._seen: deque[Observation] = deque()

    def is_missed(self, frame: Frame, latencies: Latencies) -> bool:
        seen, now = self._seen, observed(self._missed, frame, latencies)
        if seen and now.at_s <= seen[-1].at_s:
            seen.clear()
        # How many were over the bound is all that is needed: ten sketches would be kept for nothing.
        seen.append(now._replace(sketch=None))
        while seen[0].at_s <= now.at_s - TARGET_WINDOW_S:
            seen.popleft()
        return sum(each.number for each in seen) >= LEAST_REQUESTS and holds(self._missed, seen)


def _conditions(target: SloTarget) -> list[Trigger]:
    """Return when a target is missed so that the finding is of high severity; of a rate it never is."""
    times = 1.0 if target.route is None else FAR_OFF
    bounds: Mapping[str, float | None] = {
        "p95": None if target.p95_ms is None else target.p95_ms / 1e3,
        "p99": None if target.p99_ms is None else target.p99_ms / 1e3,
        "errors": target.error_rate,
    }
    return [
        Trigger(
            text=metric,
            metric=metric,
            above=True,
            or_equal=False,
            bound=bound * times,
            actions=(),
            route=target.route,
            window_s=TARGET_WINDOW_S,
        )
        for metric, bound in bounds.items()
        if bound is not None
    ]


class _Growth:
    """How memory has grown lately, and for how long what is left lasts."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def ends_soon(self, frame: Frame) -> bool:
        process, at_s = frame.process, frame.moment_ns / 1e9
        rss, left = process.rss_bytes, process.memory_left_bytes
        if rss is None or left is None or (self._seen and at_s <= self._seen[-1][0]):
            self._seen.clear()
            return False
        self._seen.append((at_s, rss))
        while len(self._seen) > 2 and self._seen[1][0] <= at_s - GROWTH_OVER_S + 0.5:
            self._seen.popleft()
        begun_s, least = self._seen[0]
        over_s, grown = at_s - begun_s, rss - least
        if over_s < GROWTH_OVER_S / 2 or grown < GROWN_BYTES or rss < self._seen[-2][1]:
            return False
        share = TAKEN_WHILE_LOADING if (process.uptime_s or 0.0) < LOADING_S else TAKEN
        return left * over_s <= ENDS_IN_S * grown and grown >= share * (left + grown)


def _pool_waits(frame: Frame) -> bool:
    return any(
        pool.longest_wait_ns >= 2 * WAITS_NS
        or (pool.wait.count >= LEAST_WAITS and (pool.wait.quantile(0.95) or 0.0) >= WAITS_NS)
        for pool in frame.pools
    )


def _client_pool_waits(frame: Frame) -> bool:
    return any(each.longest_wait_ns >= WAITS_NS for each in frame.upstreams)


def _upstream_fails(frame: Frame) -> bool:
    return any(
        each.errors >= max(FAILING_AT_LEAST, FAILING_SHARE * each.latency.count) for each in frame.upstreams
    )


def _threads_wait(frame: Frame) -> bool:
    threads = frame.threadpool
    if threads is None or not threads.waiting:
        return False
    return not threads.wait.count or (threads.wait.quantile(0.95) or 0.0) >= THREAD_WAITS_NS


def _loop_is_late(frame: Frame) -> bool:
    loop = frame.loop
    return loop is not None and loop.lag.max >= LATE_NS and (loop.lag.quantile(0.99) or 0.0) >= LATE_NS


def _is_stopped(frame: Frame) -> bool:
    machine, loop = frame.machine, frame.loop
    stops = machine.throttled if machine is not None else None
    if machine is None or stops is None or not stops.over_ns or loop is None:
        return False
    share = stops.ns / stops.over_ns
    if (wait := machine.cpu_wait) is not None and wait.over_ns:
        share = min(share, wait.longest_ns / wait.over_ns)
    return share >= STOPPED_SHARE and (loop.lag.quantile(0.99) or 0.0) >= STOPPED_LATE_NS


def _requests_queue(frame: Frame) -> bool:
    long = [route.queue for route in frame.routes if route.queue.max >= QUEUED_NS]
    over = sum(count for queue in long for low, _, count in queue.ranges() if low >= QUEUED_NS)
    return over >= LEAST_WAITS and over >= 0.05 * sum(route.queue_known for route in frame.routes)


def _is_refused_by_the_database(frame: Frame) -> bool:
    return frame.database is not None and any(look.full for look in frame.database.looks)


SIGNS: Mapping[str, Callable[[Frame], bool]] = MappingProxyType(
    {
        "pool-exhausted": _pool_waits,
        "client-pool-exhausted": _client_pool_waits,
        "upstream-errors": _upstream_fails,
        "threadpool-exhausted": _threads_wait,
        "cpu-saturated": _loop_is_late,
        "cpu-throttled": _is_stopped,
        "queueing": _requests_queue,
        "db-connections": _is_refused_by_the_database,
    }
)
"""By the finding that each stands behind."""
