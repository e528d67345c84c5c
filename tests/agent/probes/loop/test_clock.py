"""The clock on the app's loop ticks, tells how late it is, and is in nobody's way."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar

import pytest
import uvloop

from perftui_agent.probes.loop.clock import LoopClock, waits_of
from perftui_agent.probes.loop.pace import LoopPace

MS = 1_000_000

NewLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


def run(new_loop: NewLoop, main: Callable[[], object]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())  # type: ignore[arg-type]


@LOOPS
def test_a_late_tick_says_how_late(new_loop: NewLoop) -> None:
    """Whoever holds the loop."""

    async def main() -> None:
        clock = LoopClock(asyncio.get_running_loop(), 10 * MS, LoopPace())
        clock.start()
        await asyncio.sleep(0.05)
        time.sleep(0.2)  # noqa: ASYNC251 - that is what is to be seen
        await asyncio.sleep(0.05)
        late_ns = max(tick.ran_ns - tick.due_ns for tick in clock.ticks)
        assert 180 * MS < late_ns < 1_000 * MS
        assert clock.due_ns > clock.ticks[-1].ran_ns
        clock.stop()

    run(new_loop, main)


@LOOPS
def test_a_clock_that_is_stopped_ticks_no_more(new_loop: NewLoop) -> None:
    """Not even the tick that was due."""

    async def main() -> None:
        clock = LoopClock(asyncio.get_running_loop(), 1 * MS, LoopPace())
        clock.start()
        clock.stop()
        await asyncio.sleep(0.02)
        assert not clock.ticks

    run(new_loop, main)


@LOOPS
def test_a_clock_keeps_no_loop_from_ending_and_ends_with_it(new_loop: NewLoop) -> None:
    """A loop ends and closes while its clock ticks, as it would without, and nothing is left of the clock."""

    async def main() -> weakref.ref[LoopClock]:
        clock = LoopClock(asyncio.get_running_loop(), 1 * MS, LoopPace())
        clock.start()
        await asyncio.sleep(0.01)
        return weakref.ref(clock)

    loop = new_loop()
    began = time.monotonic()
    gone = loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert time.monotonic() - began < 5
    gc.collect()
    assert gone() is None


def test_a_clock_keeps_nothing_of_the_request_that_started_it() -> None:
    """Its ticks run in a context of their own."""
    variable: ContextVar[object] = ContextVar("variable")
    seen: list[object] = []

    class Listening(LoopPace):
        def turned(self, due_ns: int, now_ns: int) -> None:
            seen.append(variable.get(None))

    async def main() -> None:
        variable.set("of the request")
        clock = LoopClock(asyncio.get_running_loop(), 1 * MS, Listening())
        clock.start()
        await asyncio.sleep(0.02)
        clock.stop()

    asyncio.run(main())
    assert seen
    assert set(seen) == {None}


def test_a_late_tick_stands_for_all_that_would_have_been_due() -> None:
    """A callback at any moment of a stretch of 5 s waits for the rest of it, not one of hundreds."""
    waits = list(waits_of(5_000 * MS, 50 * MS))
    assert len(waits) == 100
    assert (max(waits), min(waits)) == (5_000 * MS, 50 * MS)
    assert sum(waits) / len(waits) == pytest.approx(2_525 * MS)
    assert list(waits_of(51 * MS, 50 * MS)) == [51 * MS, MS]
