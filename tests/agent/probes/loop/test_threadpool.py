"""The threadpool of sync endpoints: how full it is, and who waited for it how long."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.to_thread
import pytest

from perftui_agent.guard import Guard
from perftui_agent.probes.loop.threadpool import ThreadpoolProbe
from perftui_agent.probes.probe import ON
from perftui_agent.records import SpanRecord, current_request
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import ThreadpoolStats
from tests.support.requests import begin


class Sink:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.spans: list[SpanRecord] = []

    def put(self, record: SpanRecord) -> None:
        self.spans.append(record)


class AnyLoop:
    """Takes whatever loop runs for the app's."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


class AnotherLoop:
    """Has the app on a loop that does not run here."""

    loop = None


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def guard() -> Guard:
    return Guard()


@pytest.fixture
def probe(sink: Sink, guard: Guard) -> Iterator[ThreadpoolProbe]:
    probe = ThreadpoolProbe(sink, guard, AnyLoop())
    yield probe
    probe.detach()


def stats_of(probe: ThreadpoolProbe) -> ThreadpoolStats | None:
    frame = Frame(seq=1, ended_at=0, span_ns=1)
    probe.fill(frame)
    return frame.threadpool


async def turning_until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until `condition` holds."""
    while not condition():  # noqa: ASYNC110 - what is waited for is anyio's own state
        await asyncio.sleep(0)


async def fill_up(probe: ThreadpoolProbe, threads: int, callers: int) -> ThreadpoolStats | None:
    """Occupy `threads` threads with `callers` callers; return the pool while all of them are there."""
    await anyio.to_thread.run_sync(int)  # so that anyio imports its asyncio side
    assert probe.attach() == ON
    limiter = anyio.to_thread.current_default_thread_limiter()
    limiter.total_tokens = threads
    release = threading.Event()
    calls = [asyncio.create_task(anyio.to_thread.run_sync(release.wait)) for _ in range(callers)]
    await turning_until(lambda: limiter.statistics().tasks_waiting == callers - threads)
    await turning_until(lambda: limiter.borrowed_tokens == threads)
    full = stats_of(probe)
    release.set()
    await asyncio.gather(*calls)
    return full


def test_a_full_pool_shows_its_threads_and_its_queue(probe: ThreadpoolProbe) -> None:
    """Two threads and five callers: two in use, three waiting."""
    stats = asyncio.run(fill_up(probe, threads=2, callers=5))
    assert stats is not None
    assert (stats.used, stats.total, stats.waiting) == (2, 2, 3)


def test_only_who_waited_is_counted_as_waiting(probe: ThreadpoolProbe, sink: Sink) -> None:
    """Of five callers for two threads three waited, each for some time, and the next frame has none."""

    async def run() -> list[ThreadpoolStats | None]:
        await fill_up(probe, threads=2, callers=5)
        return [stats_of(probe), stats_of(probe)]

    first, second = asyncio.run(run())
    assert first is not None
    assert second is not None
    assert (first.wait.count, second.wait.count, first.used) == (3, 0, 0)
    assert [span.kind for span in sink.spans] == ["threadpool"] * 3
    assert all(0 < span.ended_ns - span.started_ns <= first.wait.max for span in sink.spans)


def test_a_pool_with_room_costs_no_record(probe: ThreadpoolProbe, sink: Sink) -> None:
    """As long as there are threads, nothing is put down."""
    asyncio.run(fill_up(probe, threads=5, callers=5))
    assert sink.spans == []


def test_a_wait_belongs_to_its_request(probe: ThreadpoolProbe, sink: Sink) -> None:
    """The span of a wait carries the request whose task waited."""
    record = begin()

    async def run() -> None:
        current_request.set(record)
        await fill_up(probe, threads=1, callers=2)

    asyncio.run(run())
    assert [span.request for span in sink.spans] == [record]


def test_a_wait_that_is_cancelled_counts_as_failed(probe: ThreadpoolProbe, sink: Sink) -> None:
    """Who gave up waiting is put down as such, and the cancellation goes on as it would."""

    async def run() -> None:
        await anyio.to_thread.run_sync(int)
        probe.attach()
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = 1
        await limiter.acquire_on_behalf_of("somebody")
        waiting = asyncio.create_task(anyio.to_thread.run_sync(int))
        await turning_until(lambda: limiter.statistics().tasks_waiting == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())
    assert [span.failed for span in sink.spans] == [True]


def test_other_limiters_are_left_alone(probe: ThreadpoolProbe, sink: Sink) -> None:
    """A limiter of the app's own is no threadpool: waiting for it is not told of."""

    async def run() -> None:
        await anyio.to_thread.run_sync(int)
        probe.attach()
        limiter = anyio.CapacityLimiter(1)
        await limiter.acquire_on_behalf_of("somebody")
        waiting = asyncio.create_task(limiter.acquire_on_behalf_of("me"))
        await turning_until(lambda: limiter.statistics().tasks_waiting == 1)
        limiter.release_on_behalf_of("somebody")
        await waiting

    asyncio.run(run())
    assert sink.spans == []


def test_the_pools_of_other_loops_are_left_alone(sink: Sink) -> None:
    """The agent's own loop would have a pool too, if it asked for one: that is not the app's."""
    probe = ThreadpoolProbe(sink, Guard(), AnotherLoop())
    assert asyncio.run(fill_up(probe, threads=1, callers=3)) is None
    probe.detach()
    assert sink.spans == []


def test_detaching_leaves_anyio_as_it_was(probe: ThreadpoolProbe) -> None:
    """The class has its own method again once the agent has stopped."""
    asyncio.run(fill_up(probe, threads=1, callers=1))
    backend = sys.modules["anyio._backends._asyncio"]
    probe.detach()
    assert backend.CapacityLimiter.acquire_on_behalf_of.__closure__ is None


def test_without_anyio_there_is_nothing_to_watch(
    probe: ThreadpoolProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that has not imported anyio gets no import of ours, and no figures."""
    monkeypatch.delitem(sys.modules, "anyio")
    assert probe.attach() == "off: not imported"
    assert stats_of(probe) is None


def test_an_unknown_anyio_is_left_alone(probe: ThreadpoolProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is made otherwise turns the probe off, with the reason."""
    asyncio.run(anyio.to_thread.run_sync(int))
    monkeypatch.delattr(sys.modules["anyio._backends._asyncio"], "CapacityLimiter")
    assert probe.attach() == "off: an anyio without CapacityLimiter.acquire_on_behalf_of"


def test_an_anyio_that_asks_for_more_is_left_alone(
    probe: ThreadpoolProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that is called in another way is not wrapped: the call would fail."""
    asyncio.run(anyio.to_thread.run_sync(int))

    async def acquire_on_behalf_of(self: object, borrower: object, urgently: bool = False) -> None: ...

    limiter = sys.modules["anyio._backends._asyncio"].CapacityLimiter
    monkeypatch.setattr(limiter, "acquire_on_behalf_of", acquire_on_behalf_of)
    assert probe.attach() == "off: an anyio whose acquire_on_behalf_of takes something else"
    assert limiter.acquire_on_behalf_of is acquire_on_behalf_of


def test_promise_6_a_fault_of_ours_costs_a_count_and_no_thread(
    guard: Guard, probe: ThreadpoolProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we read of the pool or put down may fail: whoever waits gets a thread all the same."""

    def fail(*_: object) -> None:
        raise LookupError("a fault of ours")

    monkeypatch.setattr(Sink, "put", fail)
    asyncio.run(fill_up(probe, threads=1, callers=3))
    assert guard.faults["probes.threadpool"] == 2, "of the two that waited"
    probe.detach()
    limiter = sys.modules["anyio._backends._asyncio"].CapacityLimiter
    monkeypatch.setattr(limiter, "available_tokens", property(fail))
    asyncio.run(fill_up(probe, threads=1, callers=3))
    assert guard.faults["probes.threadpool"] == 5, "nor could any of three see that it would"
