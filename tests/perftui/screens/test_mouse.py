"""The mouse does what keys do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from perftui.screens.help import HelpView
from perftui.screens.palette import Palette
from tests.perftui.screens.seen import LARGE, SMALL, Seen, look, opened
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_feed import FakeFeed
from tests.support.fake_routes import many_routes

BOTTOM = LARGE[1] - 1


def seen_after(
    walk: Callable[[Seen], Awaitable[None]], feed: FakeFeed | None = None, size: tuple[int, int] = SMALL
) -> str:
    """Return the screen after a walk with the mouse."""
    return look(feed or FakeFeed(), size=size, then=walk)


def pointed(text: str) -> str:
    """Return the first row with a cursor that the focus is on, or has been."""
    return next(line for line in text.splitlines() if line.startswith("›"))


def test_a_click_selects_a_row_and_a_second_opens_it() -> None:
    """The first puts the cursor there, one on the row under the cursor opens it."""

    async def walk(seen: Seen) -> None:
        await seen.click("GET /search")
        assert "GET /search" in pointed(seen.text())
        await seen.press("up", "down")
        await seen.click("GET /search")

    assert "shop › GET /search" in seen_after(walk).splitlines()[0]


def test_a_double_click_opens_a_row_and_nothing_beyond_it() -> None:
    """Its second click, on the screen that a first one has opened, is for the row that is gone."""

    async def other_row(seen: Seen) -> None:
        await seen.click("GET /search", times=2)

    async def same_row(seen: Seen) -> None:
        await seen.click("GET /orders", times=2)

    assert "shop › GET /search" in seen_after(other_row).splitlines()[0]
    assert seen_after(same_row, ShopFeed()).splitlines()[0].startswith(" shop › GET /orders")


def test_a_click_focuses_a_pane() -> None:
    """The keys go to the pane that was clicked last."""

    async def walk(seen: Seen) -> None:
        await seen.click("4122")
        await seen.press("enter")

    assert "shop › worker 4122" in seen_after(walk)


def test_a_click_on_a_title_sorts() -> None:
    """By that column; once more the other way round; the table's title stands for its own order."""

    async def by_p95(seen: Seen) -> None:
        await seen.click("p95", line=6)

    async def twice(seen: Seen) -> None:
        await by_p95(seen)
        await seen.click("p95", line=6)

    async def back(seen: Seen) -> None:
        await by_p95(seen)
        await seen.click("ROUTES")

    assert "↓p95" in seen_after(by_p95)
    assert "↑p95" in seen_after(twice)
    assert "ROUTES ↓cost" in seen_after(back)


def test_the_wheel_scrolls_what_is_under_it() -> None:
    """The focus stays where it is, the cursor stays in sight."""
    feed = FakeFeed(names=many_routes(50))

    async def walk(seen: Seen) -> None:
        await seen.press("tab")
        await seen.wheel("GET /api", 2)
        assert " 7–" in seen.line("ROUTES")
        await seen.wheel("GET /api", -1)
        assert " 4–" in seen.line("ROUTES")
        await seen.press("enter")

    assert "shop › worker 4121" in seen_after(walk, feed)


def test_the_wheel_scrolls_texts() -> None:
    """Three lines a notch, no further than the beginning."""

    async def down(seen: Seen) -> None:
        await seen.wheel("The previous pane", 1)

    async def and_up(seen: Seen) -> None:
        await down(seen)
        await seen.wheel("The previous pane", -5)

    help_text = look(FakeFeed(), "question_mark").splitlines()
    lines = look(FakeFeed(), "question_mark", then=down).splitlines()
    assert lines[1] == help_text[4]
    assert look(FakeFeed(), "question_mark", then=and_up).splitlines() == help_text


def test_a_line_of_the_evidence_is_clicked_open() -> None:
    """As with the keys: the cursor goes to what leads somewhere, then on."""

    async def walk(seen: Seen) -> None:
        await seen.press("2", "enter")
        await seen.click("#8f31")
        await seen.press("enter")

    assert "› #8f31" in seen_after(walk, ShopFeed(), LARGE).splitlines()[0]


def test_the_bottom_line_is_a_row_of_buttons() -> None:
    """A click on what it says does it; the digits of the views are offered by name."""

    async def scene() -> None:
        async with opened(FakeFeed(), LARGE) as seen:
            await seen.click("pause", line=BOTTOM)
            assert " paused " in seen.lines()[0]
            await seen.click("help", line=BOTTOM)
            assert isinstance(seen.app.screen, HelpView)
            await seen.click("back", line=BOTTOM)
            await seen.click("views", line=BOTTOM)
            assert isinstance(seen.app.screen, Palette)
            await seen.press(*"sql")
            await seen.click("SQL.", line=BOTTOM - 11)
            assert "shop › SQL" in seen.lines()[0]

    asyncio.run(scene())


@pytest.mark.parametrize(("answer", "dumped"), [("yes", 1), ("no", 0)])
def test_a_question_is_answered_by_a_click(answer: str, dumped: int) -> None:
    """On the words of its keys."""
    feed = FakeFeed()

    async def walk(seen: Seen) -> None:
        await seen.press("D")
        await seen.click(f" {answer}")

    seen_after(walk, feed)
    assert len(feed.dumped) == dumped


def test_a_fold_of_a_dump_opens_by_a_click() -> None:
    """The second on its line, or a double click."""

    async def walk(seen: Seen) -> None:
        await seen.press("D", "y")
        await seen.click("⏎", times=2)

    assert "__call__" in seen_after(walk)


def test_a_click_elsewhere_keeps_the_filter_that_is_typed() -> None:
    """The bottom line comes back; a filter that isn't understood stays to be mended."""

    async def understood(seen: Seen) -> None:
        await seen.press("slash", *"route:orders")
        await seen.click("4122")

    async def not_understood(seen: Seen) -> None:
        await seen.press("slash", *"p95>")
        await seen.click("4122")
        await seen.press("backspace")

    kept = seen_after(understood)
    assert "q quit" in kept
    assert "GET /search" not in kept
    assert " /p95█" in seen_after(not_understood)
