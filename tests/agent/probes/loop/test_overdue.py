"""The agent's thread sleeps while ticks come in time, and wakes when one is overdue."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from perftui_agent.guard import Guard
from perftui_agent.probes.loop.clock import LoopClock
from perftui_agent.probes.loop.event_loop import LoopProbe
from perftui_agent.probes.loop.gil import GilProbe
from perftui_agent.probes.loop.overdue import OverdueTimer
from perftui_agent.probes.loop.pace import LoopPace
from perftui_agent.rhythm import BeatingSelector
from perftui_agent.window.window import Window

MS = 1_000_000


@pytest.fixture
def timer() -> Iterator[OverdueTimer]:
    timer = OverdueTimer(10 * MS)
    assert timer.open() is not None
    yield timer
    timer.close()


def can_be_read(timer: OverdueTimer, within_s: float) -> bool:
    assert timer.file is not None
    return bool(select.select([timer.file], [], [], within_s)[0])


def test_ticks_that_come_in_time_wake_nobody(timer: OverdueTimer) -> None:
    """One that does not come wakes whoever waits, until the next comes."""

    async def main() -> None:
        clock = LoopClock(asyncio.get_running_loop(), 200 * MS, LoopPace(), timer)
        clock.start()
        assert not await asyncio.to_thread(can_be_read, timer, 0.5)
        time.sleep(0.3)  # noqa: ASYNC251 - that is what is to be seen
        assert can_be_read(timer, 0)
        await asyncio.sleep(0.05)
        assert not can_be_read(timer, 0)
        clock.stop()

    asyncio.run(main())


def test_who_has_woken_is_left_in_peace_until_the_next_tick(timer: OverdueTimer) -> None:
    """Unless the one that it woke for has come meanwhile: then the next is waited for."""
    long_ago = time.perf_counter_ns() - 50 * MS
    timer.put_off(long_ago)
    assert can_be_read(timer, 1)
    timer.has_woken(long_ago)
    assert not can_be_read(timer, 0.1)
    timer.put_off(long_ago)
    timer.has_woken(time.perf_counter_ns() + 500 * MS)
    assert not can_be_read(timer, 0)
    assert can_be_read(timer, 5)


def test_one_that_is_closed_is_set_by_nobody() -> None:
    """Its number may be another file's by then."""
    timer = OverdueTimer(10 * MS)
    timer.put_off(0)
    file = timer.open()
    assert file is not None
    assert not os.get_inheritable(file)
    timer.close()
    timer.put_off(0)
    timer.has_woken(0)
    timer.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_the_agent_may_rest_while_the_loop_turns_in_time_and_it_will_be_woken() -> None:
    """Not while it is held, nor where there is no such timer."""

    async def main() -> None:
        probe = LoopProbe(100, Window(), LoopPace())
        probe.watch_running_loop()

        def rests() -> bool:
            probe.look()
            return probe.may_rest

        assert not await asyncio.to_thread(rests)
        probe.timer.open()
        for _ in range(500):
            if await asyncio.to_thread(rests):
                break
            await asyncio.sleep(0.06)
        else:
            raise AssertionError("the loop was never seen to turn in time")
        time.sleep(0.2)  # noqa: ASYNC251 - that is what is to be seen
        assert not rests()
        probe.detach()
        probe.timer.close()

    asyncio.run(main())


def test_a_selector_beats_when_it_is_woken_and_says_nothing_of_it(timer: OverdueTimer) -> None:
    """Else when its last beat has said, and at once if that had more to do."""
    pauses, beats = iter([0.0, 0.0, 60.0]), list[float]()

    def beat() -> float:
        beats.append(time.monotonic())
        timer.has_woken(0)
        return next(pauses, 60.0)

    nobody_looks = GilProbe(LoopProbe(100.0, Window(), LoopPace()), Guard())
    with BeatingSelector(beat, nobody_looks, timer.file) as selector:
        assert selector.select(0.05) == []
        assert len(beats) == 3
        timer.put_off(time.perf_counter_ns())
        assert selector.select(0.2) == []
        assert len(beats) == 4
        here, there = socket.socketpair()
        with here, there:
            selector.register(here, 1, "for the loop")
            threading.Timer(0.05, there.send, [b"x"]).start()
            timer.put_off(time.perf_counter_ns())
            [(key, _)] = selector.select(5)
            assert key.data == "for the loop"
            assert len(beats) == 5
