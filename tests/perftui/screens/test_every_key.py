"""No key is dead: each that the table tells of does something where the table says it works."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from perftui.keys import KEYS, keys_of
from perftui.keytable.key import Key, Place
from perftui.screens.view import View
from tests.perftui.screens.seen import SMALL, Seen, opened
from tests.perftui.screens.test_ramp import ramped
from tests.perftui.screens.test_replay import recorded, replayed, shown
from tests.perftui.screens.test_views import EVERYWHERE
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_feed import FakeFeed
from tests.support.fake_ramp import course
from tests.support.fake_routes import many_routes
from tests.support.frames import T

TO: dict[Place, tuple[str, ...]] = {
    "everywhere": (*["left_square_bracket"] * 3, "enter"),
    "triage": ("slash", *"route:GET", "enter", "j"),
    "view": ("3", "slash", *"route:GET", "enter"),
    "table": ("2", *["pagedown"] * 2),
    "rows": ("2", "enter", *["j"] * 12),
    "evidence": ("2", "enter"),
    "detail": ("question_mark", *["j"] * 12),
    "worker": ("6",),
    "route": ("2", "enter"),
    "flame": ("P", "y", *["j"] * 3),
    "memory": ("6", "M", "y"),
    "functions": ("2", "F", "y"),
    "sql": ("4",),
    "database": ("4", "d"),
    "statement": ("4", "enter"),
    "explain": ("4", "e"),
    "timeline": ("7", "slash", *"lost", "enter"),
    "dump": ("D", "y", *["down"] * 5),
    "confirm": ("D",),
    "filter": ("slash", *"GET"),
    "export": ("E",),
    "palette": ("colon", "down"),
    "help": ("question_mark",),
}
"""Keys that lead to each place, to a state in which every key of it has something to do."""

NEEDS_A_TERMINAL = {"suspend_process", "redraw"}
"""What is seen in a real one alone: see `tests/flow/test_endings.py`."""

PRESSES = [
    (key, press)
    for key in KEYS
    if key.action not in NEEDS_A_TERMINAL
    for press in (key.keys if "{key}" in key.action else key.keys[:1])
]


@pytest.mark.parametrize(("key", "press"), PRESSES, ids=[f"{key.place}-{press}" for key, press in PRESSES])
def test_a_key_does_something(key: Key, press: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes what is seen, colours included, or leaves, or has something done in a worker."""
    monkeypatch.chdir(tmp_path)
    if key.place == "replay":
        asyncio.run(_on_a_recording(press, tmp_path))
        return
    if key.place in {"ramp", "ramping"}:
        asyncio.run(_on_a_ramp(key, press))
        return
    feed = FakeFeed(names=many_routes(60)) if key.place == "table" else ShopFeed()
    feed.profile_waits = key.action == "finish"

    async def scene() -> None:
        async with opened(feed, SMALL) as seen:
            await seen.press(*TO[key.place])
            before = state(seen, feed)
            await seen.press(*[press] * (2 if key.shown == "gg" else 1))
            assert state(seen, feed) != before

    asyncio.run(scene())


async def _on_a_recording(press: str, directory: Path) -> None:
    """From the middle of a recording, with something that happened on either side."""
    with recorded(directory) as recording:
        async with shown(replayed(recording, T + 40.0)) as seen:
            before = seen.lines()
            await seen.press(press)
            assert seen.lines() != before


async def _on_a_ramp(key: Key, press: str) -> None:
    """On the verdict in a small terminal, scrolled to the middle of it; or above it, on the service."""
    async with ramped(course(), (80, 14)) as (seen, _):
        await seen.press(*(["enter"] if key.place == "ramping" else ["j"] * 12))
        before = seen.lines()
        await seen.press(*[press] * (2 if key.shown == "gg" else 1))
        assert seen.lines() != before


def test_every_key_that_is_told_works() -> None:
    """On each screen, whatever has the focus: bottom line and palette tell the keys that work."""

    async def scene() -> None:
        async with opened(ShopFeed(), SMALL) as seen:
            for walk in (*EVERYWHERE, ("1", "tab"), ("1", "tab", "tab"), ("1", "question_mark"), ("D", "y")):
                await seen.press(*walk)
                screen = seen.app.screen
                assert isinstance(screen, View)
                told = {name for key in keys_of(*screen.places()) for name in key.keys}
                assert told - set(screen.active_bindings) == set(), walk
                await seen.press("1")

    asyncio.run(scene())


def state(seen: Seen, feed: FakeFeed) -> object:
    """Return all that a key can change."""
    if seen.app.return_value is not None:
        return "left"
    asked = len(feed.dumped), len(feed.profiled), feed.asked_databases
    return list(map(list, seen.app.screen._compositor.render_strips())), asked
