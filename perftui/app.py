"""The dashboard as an app: a feed gives summaries, the screens show them, a pace says when.

`run` is what `perftui connect` calls.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from textual.app import App
from textual.screen import Screen

from perftui.feed import Feed, LiveFeed
from perftui.findings.steady import Steady
from perftui.pace import Pace
from perftui.present.picture import Picture
from perftui.present.units import period, size
from perftui.screens.help import HelpView
from perftui.screens.triage import TriageView
from perftui.screens.view import View
from perftui.sources.local import LocalSource
from perftui.sources.target import parse_local
from perftui.widgets.bindings import bindings
from perftui.widgets.ink import wants_ascii
from perftui.widgets.painter import Painter
from perftui.widgets.palette import ANSI, DARK, Depth, depth_of
from perftui_agent.wire.frames import Dump, Refusal, WorkerId

WINDOWS_S = (10.0, 60.0, 300.0, 900.0)

REMARK_S = 3.0

TICK_S = 0.25
"""How often it is asked whether to paint: nothing is painted more often."""

CONNECTING_TICK_S = 0.05
"""The same before the first frame: the first picture is the one that is waited for."""


class Dashboard(App[int], inherit_bindings=False):
    """The app: what all screens share, and nothing else."""

    BINDINGS = bindings("everywhere")
    CSS_PATH = "theme.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "perftui"

    def __init__(
        self, feed: Feed, *, depth: Depth | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        no_color = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if no_color else None)
        self.depth = depth or depth_of(self.console.color_system, no_color)
        self.painter = Painter(ascii_only=wants_ascii(os.environ))
        self._feed = feed
        self._clock = clock
        self._window_s = WINDOWS_S[1]
        self._pace = Pace(clock())
        self._held_at: tuple[float, str] | None = None
        self._sent = (clock(), 0)
        self._rate = ""
        self._remark = ("", 0.0)
        self._steady = Steady()
        self.picture = self._new_picture()
        for theme in (DARK, ANSI):
            self.register_theme(theme)
        self.theme = DARK.name if self.depth == "full" else ANSI.name

    def get_default_screen(self) -> Screen[None]:
        """Start with the triage view."""
        return TriageView(self)

    def on_mount(self) -> None:
        """Follow the feed, and look again and again whether there is something to paint."""
        self.run_worker(self._follow(), exit_on_error=True)
        self.set_timer(CONNECTING_TICK_S, self._tick)

    async def _follow(self) -> None:
        await self._feed.run(self._pace.arrived)

    def _tick(self) -> None:
        connecting = self.picture.summary.link == "connecting"
        if self._pace.due(self._clock(), self._expected()) or (connecting and self._pace.news):
            self.repaint()
        self.set_timer(CONNECTING_TICK_S if connecting else TICK_S, self._tick)

    def _expected(self) -> set[WorkerId]:
        """Return the workers whose frames are waited for before a paint."""
        return {
            worker.identity.id for worker in self.picture.summary.workers if worker.state in {"ok", "blocked"}
        }

    def repaint(self) -> None:
        """Take a new picture and show it on every screen."""
        self._pace.painted(self._clock())
        self.picture = self._new_picture()
        self._show()

    def _show(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, View):
                screen.show()

    def _new_picture(self) -> Picture:
        summary, held = self._feed.summary(self._window_s), self._held_at
        self._steady, findings = self._steady.next(summary)
        covered_s = summary.window_s
        return Picture(
            # Charts and words go by the window asked for, however much of it there is by now.
            replace(summary, window_s=self._window_s),
            findings=findings,
            covered_s=covered_s if covered_s < 0.95 * self._window_s else None,
            paused_s=self._clock() - held[0] if held else None,
            paused_at=held[1] if held else "",
        )

    def on_resize(self) -> None:
        """Assume nothing of what a resized terminal still shows."""
        self.painter.forget()

    def remark(self, text: str) -> None:
        """Say something in the bottom line for a moment."""
        self._remark = (text, self._clock() + REMARK_S)
        self._show()

    def aside(self) -> str:
        """Return the remark of the moment, else how much goes to the terminal, where there is room."""
        text, until = self._remark
        return text if self._clock() < until else self._traffic()

    def _traffic(self) -> str:
        since, before = self._sent
        now, sent = self._clock(), self.painter.bytes_sent
        if now - since >= 5.0:
            self._sent = (now, sent)
            self._rate = f"{size((sent - before) / (now - since))}/s"
        return self._rate if self.size.width >= 100 else ""

    async def take_dump(self, worker: WorkerId) -> Dump | Refusal:
        """Return the stacks of a worker, or why there are none."""
        return await self._feed.dump(worker)

    def action_pause(self) -> None:
        """Freeze the picture, or let it go on."""
        if self._held_at is None:
            self._held_at = (self._clock(), time.strftime("%H:%M:%S"))
            self._feed.hold()
        else:
            self._held_at = None
            self._feed.release()
        self.repaint()

    def action_window(self) -> None:
        """Look at the next longer window; after the longest, the shortest."""
        self._window_s = WINDOWS_S[(WINDOWS_S.index(self._window_s) + 1) % len(WINDOWS_S)]
        self.repaint()

    def action_refresh_rate(self, by: int) -> None:
        """Paint more or less often."""
        self._pace.step(by)
        self.remark(f"repaints every {period(self._pace.period_s)}")

    def action_redraw(self) -> None:
        """Send the whole screen again."""
        self.painter.forget()
        self.screen.refresh(layout=True)

    def action_help(self) -> None:
        """Show the keys."""
        if not isinstance(self.screen, HelpView):
            self.push_screen(HelpView(self))

    async def action_quit(self) -> None:
        """Leave."""
        self.exit(0)


def show(feed: Feed) -> int:
    """Show the dashboard on a feed until it is left; return the exit code."""
    # The mouse stays the terminal's: its text can be selected, and nothing is sent as it moves.
    return Dashboard(feed).run(mouse=False) or 0


def run(targets: Sequence[str]) -> int:
    """Open the dashboard on what `targets` mean, the only service there is if there are none.

    Returns the exit code; raises `TargetError` when there is nothing to look at.
    """
    return asyncio.run(_run(targets))


async def _run(targets: Sequence[str]) -> int:
    async with LocalSource(parse_local(targets)) as source:
        return await Dashboard(LiveFeed(source)).run_async(mouse=False) or 0
