"""The filter: one language for all tables, typed in place of the bottom line."""

from __future__ import annotations

import asyncio

import pytest

from perftui.model.figures import FIGURES
from perftui.model.filter import FORMS
from tests.perftui.screens.seen import HUGE, LARGE, SMALL, look, opened
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_feed import FakeFeed


def filtered(view: str, text: str, *then: str, size: tuple[int, int] = SMALL) -> str:
    """Return a view of the shop with a filter that has been kept."""
    return look(ShopFeed(), view, "slash", *text, "enter", *then, size=size)


def test_routes_are_filtered_while_one_types() -> None:
    """Enter keeps the filter, escape clears it."""
    kept = look(FakeFeed(), "slash", *"ITEM", "enter")
    assert "ROUTES 1 of 8 ↓cost" in kept
    assert "GET /items/{item_id}" in kept
    assert "GET /orders" not in kept
    assert "q quit" in kept
    cleared = look(FakeFeed(), "slash", *"item", "enter", "escape")
    assert "GET /orders" in cleared
    assert "esc clears" not in cleared


def test_figures_and_names_choose_rows_of_every_table_in_sight() -> None:
    """Routes by their p95, workers by their pid; words about the ones leave the others alone."""
    text = look(FakeFeed(), "slash", *"p95>200ms route:/orders", "enter")
    assert "ROUTES 1 of 8 ↓cost" in text
    text = look(FakeFeed(), "slash", *"worker:4123", "enter")
    assert "ROUTES 8 of 8 ↓cost" in text
    assert "WORKERS 1/4" in text
    assert "4123" in text
    assert "4121" not in text


def test_an_unfinished_word_keeps_the_rows_and_says_what_it_lacks() -> None:
    """In the line one types in, at 80 columns."""
    text = look(FakeFeed(), "slash", *"route:/orders p95>")
    assert "ROUTES 1 of 8 ↓cost" in text
    last = text.splitlines()[-1]
    assert last == " /route:/orders p95>█  p95>: p95 wants a time, write p95>200ms or 1.5s"


@pytest.mark.parametrize("word", ["p42>1", "foo:bar", "status:9xx", "p95>" + "9x" * 30, "rps>fast"])
def test_a_wrong_word_is_told_in_one_line_of_80_columns(word: str) -> None:
    """With the end of what is typed before it, and none of the table's rows gone."""
    text = look(FakeFeed(), "slash", *"p95>1ms ", *word)
    last = text.splitlines()[-1]
    assert len(last) <= 80
    assert "█" in last
    assert last.index("█") < last.rindex(word[:4])
    assert "GET /orders" in text


def test_a_wrong_word_can_be_mended_but_not_kept() -> None:
    """Enter leaves the line open; with the word mended it closes it."""
    stays = look(FakeFeed(), "slash", *"p95>fast", "enter")
    assert stays.splitlines()[-1].startswith(" /p95>fast█")
    mended = look(FakeFeed(), "slash", *"p95>fast", "enter", "ctrl+w", *"p95>200ms", "enter")
    assert "/p95>200ms  esc clears" in mended
    assert "q quit" in mended


def test_letters_are_text_while_a_filter_is_typed() -> None:
    """A `q` in a filter doesn't quit, a space doesn't pause."""
    text = look(FakeFeed(), "slash", "q", "space", "s", "D")
    assert text.splitlines()[-1].startswith(" /q sD█")
    assert "none of 8 meets the filter: esc clears it" in text
    assert "paused" not in text


def test_a_filter_that_leaves_nothing_says_how_to_clear_it() -> None:
    """Escape clears the filter first, and leaves the view only after that."""
    assert "none of 2 meets the filter: esc clears it" in filtered("3", "zzz")
    cleared = filtered("3", "zzz", "escape")
    assert "shop › requests" in cleared
    assert "1.31s" in cleared
    assert "shop · localhost:8000" in filtered("3", "zzz", "escape", "escape")


@pytest.mark.parametrize("size", [SMALL, LARGE, HUGE])
def test_the_head_says_which_filter_is_on_and_how_to_clear_it(size: tuple[int, int]) -> None:
    """However long the filter is."""
    for view in "17":
        head = filtered(view, "route:/orders -status:5xx p95>=1ms", size=size).splitlines()[0]
        assert "/route:/or" in head
        assert head.endswith("esc clears")
        assert "live" in head


def test_each_view_has_a_filter_of_its_own() -> None:
    """What one looks for among the statements hides no route, and is there when one comes back."""

    async def scene() -> list[str]:
        async with opened(ShopFeed()) as seen:
            await seen.press("4", "slash", *"customer", "enter")
            found = [seen.text()]
            for digit in "14":
                await seen.press(digit)
                found.append(seen.text())
        return found

    there, elsewhere, back = asyncio.run(scene())
    assert "STATEMENTS 1 of 2" in there
    assert "esc clears" not in elsewhere
    assert "GET /orders" in elsewhere
    assert back == there


def test_a_filter_of_routes_chooses_whatever_is_about_them() -> None:
    """Slow requests and statements go by their routes; pools have none, and stay."""
    assert "SLOWEST 1 of 2" in filtered("3", "route:/reports")
    text = filtered("4", "route:/search")
    assert "STATEMENTS 1 of 2" in text
    assert "POOLS 1 of 1" in text


def test_a_filter_outlasts_what_is_opened_under_it() -> None:
    """The detail shows everything of its subject; back from it the same rows stand there."""

    async def scene() -> None:
        async with opened(ShopFeed()) as seen:
            await seen.press("slash", *"route:/orders", "enter")
            before = seen.text()
            await seen.press("enter")
            assert "esc clears" not in seen.lines()[0]
            assert "GET /orders" in seen.lines()[0]
            await seen.press("escape")
            assert seen.text() == before

    asyncio.run(scene())


def test_typing_goes_on_from_the_filter_that_is_on() -> None:
    """`/` shows it, and more words narrow it down."""
    text = look(FakeFeed(), "slash", *"GET", "enter", "slash", *" -items", "enter")
    assert "/GET -items  esc clears" in text
    assert "ROUTES 5 of 8 ↓cost" in text


def test_the_timeline_is_filtered_by_what_each_line_is_about() -> None:
    """Workers by pid, anything by its text."""
    assert "WHEN 1 of 6" in filtered("7", "worker:4119")
    assert "WHEN 1 of 6" in filtered("7", "joined")
    assert "worker-lost" not in filtered("7", "loop-blocked")


def test_the_help_and_the_readme_know_every_word() -> None:
    """What can be typed is written down."""
    shown = look(FakeFeed(), "question_mark", size=(120, 100))
    with open("README.md", encoding="utf-8") as file:
        readme = file.read()
    for form, _ in FORMS:
        assert form in shown
        assert f"`{form}`" in readme
    for figure in FIGURES:
        assert f"`{figure}`" in readme
