"""What the agent has counted of caches: `with counting() as counted: …; counted()["config"].hits`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from time import perf_counter_ns

from perftui_agent.guard import Guard
from perftui_agent.probes.caches.probe import CacheProbe
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.window.window import Window
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import CacheFrame
from tests.support.requests import begin


@dataclass(frozen=True, slots=True)
class Counted:
    """What a probe has counted."""

    probe: CacheProbe
    guard: Guard

    def __call__(self) -> dict[str, CacheFrame]:
        """Close a frame, and give its caches by name."""
        frame = empty_frame()
        self.probe.fill(frame)
        return {cache.name: cache for cache in frame.caches}


_numbers = count(1)


def fresh_name() -> str:
    """Return a name that no other cache of this process has."""
    return f"cache-{next(_numbers)}"


def empty_frame() -> Frame:
    """Return a frame in which nothing has been seen."""
    return Frame(seq=1, ended_at=1, span_ns=1_000_000_000)


@contextmanager
def counting() -> Iterator[Counted]:
    """Attach a probe, as the agent does when it starts."""
    guard = Guard()
    probe = CacheProbe(Window(), guard)
    probe.attach()
    yield Counted(probe, guard)
    probe.detach()


@contextmanager
def request() -> Iterator[RequestRecord]:
    """Work for one request; it has ended when the block is over."""
    record = new_request()
    with working_for(record):
        yield record
    record.ended_ns = record.left_ns = perf_counter_ns()


def new_request() -> RequestRecord:
    """Return a request in flight."""
    return begin(started_ns=perf_counter_ns() + next(_numbers))


@contextmanager
def working_for(record: RequestRecord) -> Iterator[None]:
    """Work for a request that goes on afterwards."""
    token = current_request.set(record)
    try:
        yield
    finally:
        current_request.reset(token)
