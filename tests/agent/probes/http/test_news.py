"""What a request that takes long waits for: news, a nap, or work that somebody does."""

from __future__ import annotations

import asyncio
import queue
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import uvloop

from perftui_agent.foreign_frames import stack_of
from perftui_agent.probes.http.news import Wait, wait_of, wait_of_thread

Waiter = Callable[[], Awaitable[Any]]


def asked(waiter: Waiter, loops: Callable[[], asyncio.AbstractEventLoop] | None = None) -> Wait | None:
    """Have a task wait, and ask what for."""

    async def scene() -> Wait | None:
        async def work() -> None:
            await waiter()

        task = asyncio.create_task(work())
        await asyncio.sleep(0.02)
        found = wait_of([task])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return found

    with asyncio.Runner(loop_factory=loops) as runner:
        return runner.run(scene())


async def within_25_s(waits: Awaitable[Any]) -> None:
    async with asyncio.timeout(25):
        await waits


async def event_by_wait_for() -> None:
    await asyncio.wait_for(asyncio.Event().wait(), 25)


async def event_by_timeout() -> None:
    async with asyncio.timeout(25):
        await asyncio.Event().wait()


async def event_far_in() -> None:
    await asyncio.wait_for(within_25_s(asyncio.Event().wait()), 60)


async def queue_by_wait_for() -> None:
    await asyncio.wait_for(asyncio.Queue[int]().get(), 25)


async def condition() -> None:
    changed = asyncio.Condition()
    async with changed, asyncio.timeout(25):
        await changed.wait_for(lambda: False)


async def anyio_event() -> None:
    with anyio.move_on_after(25):
        await anyio.Event().wait()


async def anyio_stream() -> None:
    sends, receives = anyio.create_memory_object_stream[int](1)
    with sends, receives, anyio.move_on_after(25):
        await receives.receive()


@pytest.mark.parametrize("loops", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "waiter",
    [
        event_by_wait_for,
        event_by_timeout,
        event_far_in,
        queue_by_wait_for,
        condition,
        anyio_event,
        anyio_stream,
    ],
)
def test_who_waits_for_news_tells_until_when(
    waiter: Waiter, loops: Callable[[], asyncio.AbstractEventLoop] | None
) -> None:
    """Events, queues, conditions, streams within the process, however their time is bounded."""
    found = asked(waiter, loops)
    assert found is not None
    assert found.kind == "news"
    assert found.ends_in_s == pytest.approx(25, abs=2)


async def event_for_ever() -> None:
    await asyncio.Event().wait()


def test_who_waits_without_an_end_says_so() -> None:
    """There is no time-out to hold it against."""
    assert asked(event_for_ever) == Wait("news")


async def sleep() -> None:
    await asyncio.sleep(25)


def test_who_sleeps_takes_a_nap() -> None:
    """It waits for nobody, which is something else."""
    assert asked(sleep) == Wait("nap")


async def a_lock() -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    await asyncio.wait_for(lock.acquire(), 25)


async def a_slot() -> None:
    async with asyncio.timeout(25):
        await asyncio.Semaphore(0).acquire()


async def a_result() -> None:
    await asyncio.wait_for(asyncio.get_running_loop().create_future(), 25)


async def a_thread() -> None:
    await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.2), 25)


async def an_upstream() -> None:
    here, there = socket.socketpair()
    reads, writes = await asyncio.open_connection(sock=here)
    try:
        async with asyncio.timeout(25):
            await reads.read(1)
    finally:
        writes.close()
        await writes.wait_closed()
        there.close()


@pytest.mark.parametrize("waiter", [a_lock, a_slot, a_result, a_thread, an_upstream])
def test_who_waits_for_work_to_be_done_waits_for_no_news(waiter: Waiter) -> None:
    """A lock, a slot, a result, a thread, an answer from elsewhere: that is latency, however idle."""
    assert asked(waiter) is None


def in_a_thread(waits: Callable[[], object]) -> Wait | None:
    """Have a thread wait, and ask what for."""

    def work() -> None:
        waits()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.02)
    found = wait_of_thread(stack_of(sys._current_frames()[thread.ident or 0]))
    thread.join()
    return found


def until_empty(seconds: float) -> None:
    with pytest.raises(queue.Empty):
        queue.Queue[int]().get(timeout=seconds)


def test_threads_that_wait_for_news_are_known_as_well() -> None:
    """An event tells for how long it waits, a queue until when; a sleep and a lock are neither."""
    assert in_a_thread(lambda: threading.Event().wait(0.2)) == Wait("news", within_s=0.2)
    found = in_a_thread(lambda: until_empty(0.2))
    assert found is not None
    assert found.ends_in_s == pytest.approx(0.18, abs=0.1)
    assert in_a_thread(lambda: time.sleep(0.1)) is None
    assert in_a_thread(lambda: threading.Semaphore(0).acquire(timeout=0.1)) is None


def test_a_request_that_waits_for_its_own_tasks_has_all_their_bounds() -> None:
    """The outer task gives up first."""

    async def scene() -> Wait | None:
        async def inner() -> None:
            await asyncio.Event().wait()

        async def outer() -> None:
            async with asyncio.timeout(10):
                await made

        made = asyncio.create_task(inner())
        waits = asyncio.create_task(outer())
        await asyncio.sleep(0.02)
        found = wait_of([waits, made])
        waits.cancel()
        await asyncio.gather(waits, made, return_exceptions=True)
        return found

    found = asyncio.run(scene())
    assert found is not None
    assert found.ends_in_s == pytest.approx(10, abs=2)
    assert wait_of([]) is None
