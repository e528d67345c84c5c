"""Work between which keys have their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from perftui.faults import FAULTS
from perftui.model.steps import Steps
from perftui.slices import BETWEEN_S, HELD_UP_S, KEYS_FIRST_S, SLICE_S, Slices


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    """Leave no fault to others."""
    yield
    FAULTS.forget()


class Workshop:
    """Work whose steps take as long as is said, by a clock that only they and the loop's timers move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.slices = Slices(lambda: self.said.append("done"), lambda: self.now)

    def work(self, name: str, steps: int, each_s: float = SLICE_S * 2) -> Steps[None]:
        """Return work of so many steps."""
        for _ in range(steps):
            self.now += each_s
            self.said.append(name)
            yield

    async def turns(self, number: int = 1) -> None:
        """Let the time between slices go by, so often."""
        for _ in range(number):
            await asyncio.sleep(2 * BETWEEN_S)
            self.now += BETWEEN_S


def test_a_long_work_is_done_slice_by_slice() -> None:
    """As much of it in one go as fits, and the rest after the loop has turned."""

    async def scenario() -> None:
        shop = Workshop()
        shop.slices.begin(shop.work("a", 4, SLICE_S * 0.6))
        assert shop.said == ["a", "a"]
        await shop.turns(3)
        assert shop.said == ["a"] * 4 + ["done"]
        assert not shop.slices.busy

    asyncio.run(scenario())


def test_what_is_waited_for_is_done_in_one_go() -> None:
    """The first picture."""

    async def scenario() -> None:
        shop = Workshop()
        shop.slices.pressed()
        shop.slices.begin(shop.work("a", 4), whole=True)
        assert shop.said == ["a"] * 4 + ["done"]

    asyncio.run(scenario())


def test_after_a_key_nothing_is_done_for_a_moment() -> None:
    """And then it goes on by itself."""

    async def scenario() -> None:
        shop = Workshop()
        shop.slices.begin(shop.work("a", 2))
        shop.slices.pressed()
        await shop.turns()
        assert shop.said == ["a"]
        shop.now += KEYS_FIRST_S
        await shop.turns(3)
        assert shop.said == ["a", "a", "done"]

    asyncio.run(scenario())


def test_keys_without_end_hold_up_no_picture_for_ever() -> None:
    """Whoever holds down an arrow sees the figures move as well."""

    async def scenario() -> None:
        shop = Workshop()
        shop.slices.begin(shop.work("a", 2))
        for _ in range(round(HELD_UP_S / BETWEEN_S) + 5):
            shop.slices.pressed()
            await asyncio.sleep(2 * BETWEEN_S)
        assert shop.said == ["a", "a", "done"]

    asyncio.run(scenario())


def test_another_work_takes_the_place_of_one_that_is_half_done() -> None:
    """Of what was dropped nothing more is done, nor told."""

    async def scenario() -> None:
        shop = Workshop()
        shop.slices.begin(shop.work("a", 3))
        shop.slices.begin(shop.work("b", 2))
        await shop.turns(4)
        assert shop.said == ["a", "b", "b", "done"]
        shop.slices.begin(shop.work("c", 2))
        shop.slices.drop()
        await shop.turns(2)
        assert shop.said[-1] == "c"

    asyncio.run(scenario())


def test_a_fault_ends_the_work_and_is_told() -> None:
    """The next one begins as if nothing had been."""

    async def scenario() -> None:
        shop = Workshop()

        def broken() -> Steps[None]:
            yield
            raise ValueError("no")

        shop.slices.begin(broken())
        assert shop.said == ["done"]
        assert FAULTS.latest == "the picture: ValueError: no"
        assert not shop.slices.busy

    asyncio.run(scenario())
