"""What grows in a worker's memory, as a screen."""

from __future__ import annotations

from perftui_agent.wire.dumps import Refusal
from tests.perftui.screens.seen import look
from tests.support.fake_feed import FakeFeed


def test_the_line_that_grows_comes_first() -> None:
    """By line with its rate and the route behind it, then by type."""
    lines = look(FakeFeed(), "6", "M", "y").splitlines()
    assert lines[1].startswith(" GREW, BY LINE  the process +92 MB in 45 s")
    assert lines[2].split()[:5] == ["+90", "MB", "2.0", "MB/s", "90×"]
    assert "shop/cart.py:31" in lines[2]
    assert lines[3].strip() == "88 MB for POST /checkout"
    assert any("builtins.bytearray" in line for line in lines)


def test_it_says_how_far_it_is_and_can_be_ended() -> None:
    """Until then it tells what has been allocated, and that the worker is slower."""
    feed = FakeFeed(profile_waits=True)
    assert "12.0 MB since the start" in look(feed, "6", "M", "y")
    assert "shop/cart.py:31" in look(feed, "6", "M", "y", "e")


def test_a_refusal_says_why_and_the_mend() -> None:
    """One sentence, and what helps."""
    feed = FakeFeed(answer=Refusal(id="m", reason="tracemalloc is on already", advice="switch it off"))
    screen = look(feed, "6", "M", "y")
    assert "tracemalloc is on already" in screen
    assert "switch it off" in screen
