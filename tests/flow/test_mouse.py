"""The mouse in a real terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.terminal import Terminal, terminal

STILL = """
import sys
from perftui.app import Dashboard
from tests.support.fake_feed import FakeFeed
from tests.support.fake_routes import many_routes
sys.exit(Dashboard(FakeFeed(names=many_routes(40))).run(mouse={mouse}))
"""
"""A dashboard over a service that stands still: nothing is painted unless something is done."""

REPORTS = (b"?1000h", b"?1006h")
MOVES = (b"?1002h", b"?1003h")


@contextmanager
def still(*, mouse: bool = True) -> Iterator[Terminal]:
    """Open the dashboard on a made-up service of which the picture never changes."""
    with terminal(sys.executable, "-c", STILL.format(mouse=mouse), env=os.environ) as seen:
        seen.wait_for("ROUTES", "● live", "q quit")
        yield seen


def settled(seen: Terminal) -> int:
    """Wait until nothing more is written; return how much has been so far."""
    before = -1
    while before != len(seen.raw):
        before = len(seen.raw)
        seen.read(1.5)
    return before


def test_buttons_and_wheel_are_asked_for_and_moves_are_not() -> None:
    """Over ssh a report for every cell the pointer crosses would be most of the traffic."""
    with still() as seen:
        assert all(b"\x1b[" + mode in seen.raw for mode in REPORTS)
        assert not any(b"\x1b[" + mode in seen.raw for mode in MOVES)
        seen.press("q")
        assert seen.end() == 0
        assert seen.restored()


def test_without_the_mouse_nothing_is_asked_for() -> None:
    """Then clicks are the terminal's."""
    with still(mouse=False) as seen:
        assert not any(b"\x1b[" + mode in seen.raw for mode in (*REPORTS, *MOVES))


def test_a_click_opens_and_the_wheel_scrolls() -> None:
    """As a terminal reports them, a click on the bottom line included."""
    with still() as seen:
        seen.child.send("\x1b[<65;10;12M" * 3)
        seen.wait_for(" 10–")
        row = next(line for line in seen.lines() if "GET /api" in line)[3:].split("  ")[0]
        seen.click(row)
        seen.wait(lambda text: f"›· {row} " in text, "the cursor on the row")
        settled(seen)
        seen.click(row)
        seen.wait_for(f"shop › {row}")
        seen.click("back")
        seen.wait_for("ROUTES", f"›· {row} ")


def test_a_pointer_that_moves_writes_nothing() -> None:
    """Even where a terminal reports moves unasked, nothing lights up under them."""
    with still() as seen:
        before = settled(seen)
        for x in range(1, 80):
            seen.child.send(f"\x1b[<35;{x};{1 + x % 24}M")
        assert settled(seen) == before
