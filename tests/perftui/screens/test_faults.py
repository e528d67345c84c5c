"""A fault of ours costs what it was in, never the session; and no size of a terminal is one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from rich.cells import cell_len

from perftui.faults import FAULTS, log_path
from perftui.findings import find as finding
from perftui.model.summary import Summary
from perftui.present.text.cells import Line
from perftui.screens import route as route_screen
from perftui.widgets.lines import Lines, Panel
from tests.perftui.screens.seen import LARGE, SMALL, Seen, opened
from tests.perftui.screens.test_views import EVERYWHERE
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_feed import FakeFeed

VIEWS = tuple((digit,) for digit in "1234567")
ASIDE = (("question_mark",), ("colon", *"pa"), ("E",), ("slash", *"p95>100ms"), ("D",), ("D", "y"))

NARROW = tuple((width, height) for width in range(1, 13) for height in (1, 4))
SIZES = (*NARROW, *((Random(place).randint(1, 200), Random(-place).randint(1, 60)) for place in range(1, 17)))


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Faults are written below the test's own folder, and forgotten after it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    yield Path(log_path())
    FAULTS.forget()


@pytest.mark.parametrize(
    ("feed", "walks"),
    [
        pytest.param(ShopFeed(), (*EVERYWHERE, *ASIDE), id="live"),
        pytest.param(ShopFeed(troubles=("gone", "blocked", "slo", "errors")), EVERYWHERE, id="troubled"),
        pytest.param(ShopFeed(troubles=("silent", "stale"), workers=64), VIEWS, id="silent"),
        pytest.param(FakeFeed(troubles=("idle",)), VIEWS, id="empty"),
        pytest.param(FakeFeed(troubles=("connecting",)), VIEWS, id="connecting"),
        pytest.param(FakeFeed(workers=0), VIEWS, id="no workers"),
    ],
)
def test_every_pane_can_be_drawn_in_every_size(feed: FakeFeed, walks: tuple[tuple[str, ...], ...]) -> None:
    """From a single cell to the largest terminal, as when a neighbour's border is dragged over it."""

    async def scene() -> None:
        async with opened(feed, LARGE) as seen:
            for keys in walks:
                await seen.press("1", *keys)
                for pane in seen.app.screen.query(Lines):
                    for width, height in SIZES:
                        pane.draw(width, height)
                        assert (pane.cursor_line() or 0) >= 0
                await seen.press("escape")

    asyncio.run(scene())


@pytest.mark.parametrize("keys", [*VIEWS, ("2", "enter"), ("6", "enter"), ("question_mark",)])
def test_a_pane_dragged_to_its_border_and_back_ends_nothing(keys: tuple[str, ...]) -> None:
    """The picture is the same as before, and no line was ever wider than the terminal."""

    async def scene() -> None:
        async with opened(ShopFeed(), SMALL) as seen:
            await seen.press(*keys)
            before = seen.lines()
            for size in ((3, 24), (1, 1), (200, 2), (2, 60)):
                await seen.resize(*size)
                assert max(map(cell_len, seen.lines())) <= size[0]
            await seen.resize(*SMALL)
            assert before == seen.lines()

    asyncio.run(scene())


def broken(*_: object) -> list[Line]:
    raise ValueError("max() of \x1b[31mnothing")


def test_a_pane_that_cannot_be_drawn_says_so_and_the_session_goes_on(log: Path) -> None:
    """One line in its place; its neighbours, its keys and the way back work, and it is written down."""

    async def scene(seen: Seen) -> None:
        await seen.press("2")
        pane = seen.app.screen.query_one("#latencies", Panel)
        pane._drawing, drawing = broken, pane._drawing
        await seen.repaint()
        told = seen.line("✗ a fault of perftui's own, not the service's: ValueError")
        assert "\x1b" not in told
        assert "GET /orders" in seen.text()
        assert "ValueError" in seen.lines()[-1]
        await seen.press("1", "2")
        assert "ValueError" in seen.text()
        pane._drawing = drawing
        await seen.repaint()
        assert "LATENCY OVER TIME" in seen.text()
        assert FAULTS.counts["latencies"] >= 2
        FAULTS.forget()

    survived(ShopFeed(), scene)
    assert "in broken" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_screen_that_cannot_tell_its_rows_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A route's detail that fails leads back to where it was opened."""
    monkeypatch.setattr(route_screen, "route_rows", broken)

    async def scene(seen: Seen) -> None:
        await seen.press("2", "enter")
        assert "ValueError" in seen.text()
        await seen.press("escape")
        assert "shop › routes" in seen.lines()[0]
        assert set(FAULTS.counts) == {"body"}
        FAULTS.forget()

    survived(ShopFeed(), scene)


def test_a_picture_that_cannot_be_taken_leaves_the_last_one() -> None:
    """What is wrong with one second costs that second."""
    failing: list[bool] = []

    def change(summary: Summary) -> Summary:
        if failing:
            raise ZeroDivisionError
        return replace(summary, target="localhost:1234")

    async def scene(seen: Seen) -> None:
        failing.append(True)
        before = seen.lines()
        await seen.repaint()
        assert before[:-1] == seen.lines()[:-1]
        assert "ZeroDivisionError" in seen.lines()[-1]
        assert dict(FAULTS.counts) == {"the picture": 1}
        failing.clear()
        FAULTS.forget()
        await seen.repaint()

    survived(ShopFeed(change=change), scene)


def test_a_finding_that_cannot_be_judged_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule that fails is silent and counted."""
    rules = {**finding.RULES, "n-plus-one": broken}
    monkeypatch.setattr(finding, "RULES", rules)

    async def scene(seen: Seen) -> None:
        kinds = {each.kind for each in seen.app.picture.findings}
        assert "pool-exhausted" in kinds
        assert "n-plus-one" not in kinds
        assert set(FAULTS.counts) == {"the finding n-plus-one"}
        FAULTS.forget()

    survived(ShopFeed(), scene)


def test_a_key_whose_action_fails_is_a_key_without_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is lost: the next key works."""

    async def scene(seen: Seen) -> None:
        monkeypatch.setattr(seen.app, "action_window", broken)
        await seen.press("w")
        assert FAULTS.latest.endswith("nothing")
        FAULTS.forget()
        await seen.press("2")
        assert "shop › routes" in seen.lines()[0]

    survived(ShopFeed(), scene)


def survived(feed: FakeFeed, scene: object) -> None:
    """Play a scene in which something fails, to its end."""

    async def played() -> None:
        async with opened(feed, LARGE) as seen:
            assert callable(scene)
            await scene(seen)

    asyncio.run(played())


def test_what_a_session_survived_is_told_in_a_sentence() -> None:
    """How many, in what, the most frequent first."""
    for where in ("latencies", "the picture", "latencies"):
        FAULTS.note(where, ValueError("x"))
    assert FAULTS.sentence() == "3 faults of perftui's own, in latencies (2×), the picture"
    assert FAULTS.story().count("ValueError") == 2
