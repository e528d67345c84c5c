"""Jobs for the thread pool of `multiprocessing` are done for the request that gave them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from multiprocessing.dummy import Pool as DummyPool
from multiprocessing.pool import Pool, ThreadPool
from typing import Any

import pytest

from perftui_agent.guard import Guard
from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.loop.multiprocessing_threads import MultiprocessingThreads
from perftui_agent.probes.probe import ON
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.whose import request_now
from tests.support.requests import begin


@pytest.fixture
def probe() -> Iterator[MultiprocessingThreads]:
    """The probe, attached."""
    probe = MultiprocessingThreads(the_agent().own.window, Guard())
    assert probe.attach() == probe.attach() == ON
    yield probe
    probe.detach()


@pytest.fixture
def request_here() -> Iterator[RequestRecord]:
    """A request that is current in the test."""
    record = begin()
    token = current_request.set(record)
    yield record
    current_request.reset(token)


def whose(*_: Any) -> RequestRecord | None:
    """Return for whom a job is done."""
    return request_now()


WAYS: list[Callable[[Any], list[Any]]] = [
    lambda pool: [pool.apply(whose)],
    lambda pool: [pool.apply_async(func=whose, args=(1,)).get()],
    lambda pool: pool.map(whose, range(3)),
    lambda pool: pool.starmap(whose, [(1, 2), (3, 4)], chunksize=2),
    lambda pool: pool.map_async(whose, iter("ab")).get(),
    lambda pool: list(pool.imap(whose, range(3), chunksize=2)),
    lambda pool: list(pool.imap_unordered(whose, range(3))),
]


@pytest.mark.parametrize("way", WAYS)
def test_jobs_are_their_requests(
    probe: MultiprocessingThreads, request_here: RequestRecord, way: Callable[[Any], list[Any]]
) -> None:
    """Whichever way they are given; and nobody's once they are given by nobody."""
    with ThreadPool(1) as pool:
        assert set(way(pool)) == {request_here}
        current_request.set(None)
        assert set(way(pool)) == {None}
        current_request.set(request_here)
    with DummyPool(1) as pool:
        assert set(way(pool)) == {request_here}


def test_results_and_failures_are_those_without_the_agent(
    probe: MultiprocessingThreads, request_here: RequestRecord
) -> None:
    """Callbacks are called, and an exception is the one that was raised."""
    called: list[Any] = []

    def fails(*_: Any) -> None:
        raise LookupError("x")

    with ThreadPool(1) as pool:
        assert pool.map_async(str, range(3), callback=called.append).get() == ["0", "1", "2"]
        with pytest.raises(LookupError) as raised:
            pool.apply_async(fails, error_callback=called.append).get()
        assert called == [["0", "1", "2"], raised.value]
        assert raised.value.__cause__ is raised.value.__context__ is None


def test_it_leaves_nothing_behind() -> None:
    """What the class had of its own it has again, and a pool of processes was never touched."""
    before, of_processes = dict(vars(ThreadPool)), dict(vars(Pool))
    probe = MultiprocessingThreads(the_agent().own.window, Guard())
    assert probe.attach() == ON
    assert dict(vars(ThreadPool)) != before
    probe.detach()
    assert dict(vars(ThreadPool)) == before
    assert dict(vars(Pool)) == of_processes
