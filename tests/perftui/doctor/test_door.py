"""What the doctor says of remote doors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from perftui.doctor.door import check_doors
from perftui.doctor.reading import knocked
from perftui.doctor.surroundings import Knocked, Surroundings
from perftui.sources.token import TOKEN as GIVEN
from tests.support.fake_door import TOKEN, fake_door


@pytest.fixture(autouse=True)
def token() -> Iterator[None]:
    before = GIVEN.set(TOKEN)
    yield
    GIVEN.reset(before)


def verdicts(*doors: Knocked) -> list[tuple[str, str]]:
    return [(each.verdict, each.sentence) for each in check_doors(Surroundings(doors=doors))]


def test_a_door_that_opens_is_well_and_one_that_does_not_is_worth_knowing() -> None:
    """A service may have no door on purpose."""

    async def scenario() -> None:
        async with fake_door() as door:
            assert verdicts(await knocked(door.target)) == [
                ("ok", f"{door.target} opens to the token of this shell")
            ]
            door.answer = (404, {}, b"")
            ((verdict, sentence),) = verdicts(await knocked(door.target))
            assert verdict == "note"
            assert sentence.startswith("nothing answers here, or the token is wrong")

    asyncio.run(scenario())


def test_a_server_that_takes_no_websockets_is_in_the_way() -> None:
    """The token is right, and nobody gets in by it."""

    async def scenario() -> None:
        async with fake_door() as door:
            door.answer = (426, {}, b"perftui: this server takes no WebSockets")
            ((verdict, sentence),) = verdicts(await knocked(door.target))
            assert (verdict, "takes no WebSockets" in sentence) == ("wrong", True)

    asyncio.run(scenario())


def test_without_a_token_nothing_is_said_of_doors() -> None:
    """Most have none."""
    assert verdicts() == []
