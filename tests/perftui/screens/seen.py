"""A screen as plain text, as a reader sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from unittest import mock

from rich.cells import cell_len
from textual import events
from textual.pilot import Pilot

from perftui.app import Dashboard
from perftui.faults import FAULTS
from perftui.slices import BETWEEN_S
from tests.support.fake_feed import FakeFeed

SOON_S = 0.02
"""What a screen does by the clock, as its refresh, it does within so long."""

SMALL = (80, 24)
LARGE = (120, 40)
HUGE = (200, 50)


class Seen:
    """A running dashboard, its keys and its screen."""

    def __init__(self, app: Dashboard, pilot: Pilot[int]) -> None:
        self.app = app
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys one after the other, and wait until the screen has settled."""
        # Textual waits 40 ms for each key, until the process has computed little for so long.
        with mock.patch("textual.app.wait_for_idle", _nothing_left_to_do):
            for key in keys:
                await self._pilot.press(key)
        await self._settle()

    async def click(self, word: str, times: int = 1, *, line: int = 0) -> None:
        """Click on the first word of this kind, looked for from a line on."""
        y, text = next((y, text) for y, text in enumerate(self.lines()) if y >= line and word in text)
        await self._pilot.click(offset=(cell_len(text[: text.index(word)]), y), times=times)
        await self._settle()

    async def wheel(self, word: str, notches: int) -> None:
        """Turn the wheel over a word, downwards if `notches` are positive."""
        y, text = next((y, text) for y, text in enumerate(self.lines()) if word in text)
        kind = events.MouseScrollDown if notches > 0 else events.MouseScrollUp
        for _ in range(abs(notches)):
            x = text.index(word)
            self.app.post_message(kind(None, x, y, 0, 0, 0, False, False, False, x, y))
            await self._settle()

    async def repaint(self) -> None:
        """Let a second pass."""
        self.app.repaint()
        await self._settle()

    async def resize(self, width: int, height: int) -> None:
        """Give the terminal another size."""
        await self._pilot.resize_terminal(width, height)
        await self._settle()

    async def _settle(self) -> None:
        """Wait until the screen shows what is to be shown.

        Textual takes a process that computes little for idle: one that gets no processor computes nothing.
        """
        with mock.patch("textual.pilot.wait_for_idle", self._until_settled):
            await self._pilot.pause()

    async def _until_settled(self, *_: float) -> None:
        await asyncio.sleep(SOON_S)
        await _nothing_left_to_do()
        while self.app._slices.busy:
            await asyncio.sleep(BETWEEN_S)
            await _nothing_left_to_do()

    def lines(self) -> list[str]:
        """Return the screen, line by line, without trailing blanks."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    def text(self) -> str:
        """Return the screen as one text."""
        return "\n".join(self.lines())

    def line(self, word: str) -> str:
        """Return the first line that holds a word."""
        return next(line for line in self.lines() if word in line)


async def _nothing_left_to_do(*_: float) -> None:
    """Return once this event loop has nothing to do but to wait for a time or for somebody else."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # each has it, its type has not
    quiet = 0
    while quiet < 3:
        await asyncio.sleep(0)
        quiet = 0 if ready else quiet + 1


@asynccontextmanager
async def opened(feed: FakeFeed, size: tuple[int, int] = SMALL) -> AsyncIterator[Seen]:
    """Open the dashboard on a made-up service."""
    app = Dashboard(feed, depth="full")
    async with app.run_test(size=size) as pilot:
        seen = Seen(app, pilot)
        await seen.repaint()
        yield seen
    # They would cost a pane or a key, and no test would see it.
    assert not FAULTS, FAULTS.story()


def look(
    feed: FakeFeed,
    *keys: str,
    size: tuple[int, int] = SMALL,
    then: Callable[[Seen], Awaitable[None]] | None = None,
) -> str:
    """Open the dashboard, press keys, and return the screen as text."""

    async def scene() -> str:
        async with opened(feed, size) as seen:
            if keys:
                await seen.press(*keys)
            if then is not None:
                await then(seen)
            return seen.text()

    return asyncio.run(scene())
