"""Every screen at 80×24 in every state a service can be looked at in."""

from __future__ import annotations

import asyncio

import pytest
from rich.cells import cell_len

from tests.perftui.screens.seen import SMALL, opened
from tests.perftui.screens.test_views import EVERYWHERE
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_feed import FakeFeed
from tests.support.fake_routes import many_routes

DIGITS = tuple((digit,) for digit in "1234567")


def walked(
    feed: FakeFeed, first: tuple[str, ...], walks: tuple[tuple[str, ...], ...]
) -> dict[str, list[str]]:
    """Return the lines of every screen after these first keys, by the keys that lead there."""

    async def scene() -> dict[str, list[str]]:
        found = {}
        async with opened(feed, SMALL) as seen:
            await seen.press(*first)
            for keys in walks:
                await seen.press(*keys)
                found[" ".join(keys)] = seen.lines()
        return found

    return asyncio.run(scene())


@pytest.mark.parametrize(
    ("feed", "first", "told", "walks"),
    [
        pytest.param(ShopFeed(), (), "● live", DIGITS, id="live"),
        pytest.param(ShopFeed(), ("space",), " paused ", EVERYWHERE, id="paused"),
        pytest.param(ShopFeed(), ("left_curly_bracket",), "◂ 11:59:00", EVERYWHERE, id="rewound"),
        pytest.param(ShopFeed(troubles=("stale",)), (), "stale 12 s", EVERYWHERE, id="stale"),
        pytest.param(ShopFeed(workers=1), (), "● live", DIGITS, id="one worker"),
        pytest.param(ShopFeed(workers=64), (), "● live", DIGITS, id="64 workers"),
        pytest.param(ShopFeed(names=many_routes(500)), (), "● live", DIGITS, id="500 routes"),
        pytest.param(ShopFeed(troubles=("gone", "blocked")), (), "● live", EVERYWHERE, id="troubled"),
        # Nothing there, nothing to open.
        pytest.param(FakeFeed(troubles=("idle",)), (), "● live", DIGITS, id="empty"),
        pytest.param(FakeFeed(troubles=("connecting",)), (), "○ connecting", DIGITS, id="connecting"),
    ],
)
def test_every_screen_tells_the_state(
    feed: FakeFeed, first: tuple[str, ...], told: str, walks: tuple[tuple[str, ...], ...]
) -> None:
    """The first line says how the service is looked at, the last one what can be done, and all fit."""
    for keys, lines in walked(feed, first, walks).items():
        assert SMALL[1] == len(lines), keys
        assert max(cell_len(line) for line in lines) <= SMALL[0], keys
        assert told in lines[0], keys
        assert "? help" in lines[-1], keys
        assert "q quit" in lines[-1], keys
        assert any(line.strip() for line in lines[1:-1]), keys


def test_what_is_paused_stays_as_it_was_on_every_screen() -> None:
    """Views opened during a pause show the moment of the pause, not the present."""
    moment = [FakeFeed().clock()]
    feed = ShopFeed(clock=lambda: moment[0])

    async def scene() -> tuple[list[str], list[str]]:
        async with opened(feed, SMALL) as seen:
            await seen.press("6")
            then = seen.lines()
            await seen.press("1", "space")
            moment[0] += 300
            await seen.press("6")
            return then, seen.lines()

    then, now = asyncio.run(scene())
    assert then[1:-1] == now[1:-1]
