"""The dashboard on a line that is too thin for it."""

from __future__ import annotations

import os
import sys
from time import monotonic

from tests.support.terminal import terminal

FAKE = (sys.executable, "-m", "tests.support.fake_feed")


def test_a_terminal_that_takes_nothing_is_spared_from_then_on() -> None:
    """Writes that block are noticed without a word from anyone, and said; the keys work as before."""
    with terminal(*FAKE, env=dict(os.environ)) as seen:
        seen.wait_for("GET /orders", "● live")
        unread_until = monotonic() + 4
        while monotonic() < unread_until:
            # Each has the whole screen sent again, until there is no room for more.
            seen.press("\x0c")
        seen.wait_for("slow line: repaints every 5 s")
        seen.press("q")
        assert seen.end() == 0
