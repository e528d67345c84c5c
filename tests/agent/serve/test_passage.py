"""Messages between two event loops."""

from __future__ import annotations

import asyncio
import threading

import pytest

from perftui_agent.serve.passage import OtherSideGoneError, Passage


def test_no_more_are_on_their_way_than_there_is_room_for() -> None:
    """Whoever gives waits for whoever takes, and everything comes in its order."""

    async def check() -> None:
        here = asyncio.get_running_loop()
        passage: Passage[int] = Passage(here, here, 2)
        given: list[int] = []

        async def give() -> None:
            for item in range(5):
                await passage.give(item)
                given.append(item)

        giving = asyncio.create_task(give())
        taken = []
        for at_most in (2, 3, 4, 5, 5):
            for _ in range(10):
                await asyncio.sleep(0)
            assert given == list(range(at_most))
            taken.append(await passage.take())
            passage.done()
        await giving
        assert taken == list(range(5))

    asyncio.run(check())


def test_a_last_word_needs_no_room() -> None:
    """It comes after what was given before."""

    async def check() -> None:
        here = asyncio.get_running_loop()
        passage: Passage[str] = Passage(here, here, 1)
        await passage.give("one")
        passage.give_at_once("the last word")
        assert [await passage.take(), await passage.take()] == ["one", "the last word"]

    asyncio.run(check())


def test_it_leads_from_one_thread_to_another() -> None:
    """Each end has a loop of its own."""
    taken: list[int] = []
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()

    async def take(passage: Passage[int]) -> None:
        for _ in range(100):
            taken.append(await passage.take())
            passage.done()

    async def check() -> None:
        passage: Passage[int] = Passage(asyncio.get_running_loop(), other, 3)
        taking = asyncio.run_coroutine_threadsafe(take(passage), other)
        for item in range(100):
            await passage.give(item)
        await asyncio.wrap_future(taking)

    try:
        asyncio.run(check())
    finally:
        other.call_soon_threadsafe(other.stop)
        thread.join()
        other.close()
    assert taken == list(range(100))


def test_an_end_whose_loop_is_closed_is_gone() -> None:
    """An error of its own says so."""
    closed = asyncio.new_event_loop()
    closed.close()

    async def check() -> None:
        passage: Passage[int] = Passage(asyncio.get_running_loop(), closed, 1)
        with pytest.raises(OtherSideGoneError):
            await passage.give(1)

    asyncio.run(check())
