"""Everything one can do here, found by a few letters."""

from __future__ import annotations

from perftui.keys import keys_of
from perftui.screens.palette import commands, matching
from tests.perftui.screens.seen import LARGE, look
from tests.support.fake_feed import FakeFeed


def test_it_offers_what_can_be_done_here() -> None:
    """Every key of the place is there once, views one by one, the palette itself isn't."""
    sentences = [command.sentence for command in commands("triage", "everywhere")]
    assert all(key.sentence in sentences for key in keys_of("triage"))
    assert "Find what one can do here by a few letters." not in sentences
    assert len(set(sentences)) == len(sentences)


def test_letters_in_order_find_it() -> None:
    """Fuzzy: the best match stands first."""
    assert matching("freeze", commands("everywhere"))[0].shown == "space p"
    assert matching("rec", commands("everywhere"))[0].shown == "R"
    assert matching("nxtwin", commands("everywhere"))[0].shown == "w"
    assert matching("zzzz", commands("everywhere")) == []


def test_what_is_chosen_is_done() -> None:
    """`:`, some letters, enter: as if its key had been pressed."""
    assert " paused " in look(FakeFeed(), "colon", *"freeze", "enter").splitlines()[0]
    assert "Dump worker 4121?" in look(FakeFeed(), "ctrl+p", *"dump", "enter")


def test_the_cursor_chooses_among_them() -> None:
    """Down goes to the next command, which is marked by a sign."""
    text = look(FakeFeed(), "colon", "down", "down", "up")
    (line,) = (line for line in text.splitlines() if line.startswith(" › "))
    assert line.strip().endswith(commands("triage", "table", "everywhere")[1].shown)


def test_it_leaves_without_a_trace() -> None:
    """Escape, or enter where nothing matches, do nothing."""
    assert look(FakeFeed()) == look(FakeFeed(), "colon", *"freeze", "escape")
    assert look(FakeFeed()) == look(FakeFeed(), "colon", *"zzzz", "enter")


def test_it_says_that_nothing_matches() -> None:
    """What was typed is named, the screen above stays in sight."""
    text = look(FakeFeed(), "colon", *"zzzz", size=LARGE)
    assert "nothing here is called “zzzz”" in text
    assert "● live" in text.splitlines()[0]
