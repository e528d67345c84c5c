"""A ramp with a screen of its own, as an app: the dashboard on the service, and the ramp as its first screen.

`show_ramp` is what `perftui ramp` calls where there is a terminal. The ramp goes on while one looks at the
service; leaving stops it first, within `STOP_S`.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Protocol

from textual.screen import Screen

from perftui.app import Dashboard, told_afterwards
from perftui.feed import Feed
from perftui.keytable.key import Place
from perftui.model.ramp import RampCourse
from perftui.screens.ramp import RampView
from perftui.terminal import given_back
from perftui.widgets.bindings import bindings

STOP_S = 3.0
"""How long stopping may take: what sends is told at once, and tells what is still open a moment later."""


ENDING = (signal.SIGINT, signal.SIGTERM)
"""Signals that stop the ramp before they end the screen, as `q` does."""


class Ramping(Protocol):
    """A ramp that can be looked at."""

    @property
    def course(self) -> RampCourse:
        """The ramp as it stands."""

    async def run(self) -> None:
        """Raise the load until something gives, or until it is stopped."""

    def stop(self) -> None:
        """Send nothing more; `run` returns soon."""


class RampDashboard(Dashboard):
    """The dashboard on a service that is ramped."""

    BINDINGS = bindings("ramping")
    also: tuple[Place, ...] = ("ramping",)

    def __init__(self, feed: Feed, ramping: Ramping, **options: Any) -> None:
        self._ramping = ramping
        self._run: asyncio.Task[None] | None = None
        self._leaving = False
        super().__init__(feed, **options)

    @property
    def course(self) -> RampCourse:
        """The ramp as it stands."""
        return self._ramping.course

    def get_default_screen(self) -> Screen[None]:
        """Start with the ramp."""
        return RampView(self)

    def on_mount(self) -> None:
        """Begin the ramp."""
        self._run = asyncio.create_task(self._ramping.run())
        self._run.add_done_callback(self._over)

    def _over(self, run: asyncio.Task[None]) -> None:
        """Show the verdict until somebody leaves; whoever opened it tells why there is none."""
        if not run.cancelled() and (error := run.exception()) is not None and not self._leaving:
            self._fault = error if isinstance(error, Exception) else None
            self.exit(1)
        elif self.is_running:
            self.repaint()

    def show_service(self) -> None:
        """Show the triage view above the ramp."""
        self.action_view(1)

    def action_view(self, number: int) -> None:
        """Show one of the views 1 to 8; the ramp lies below all of them."""
        if number > 1:
            super().action_view(number)
            return
        from perftui.screens.triage import TriageView  # noqa: PLC0415 - see `_go_on`

        with self.batch_update():
            while len(self.screen_stack) > 1:
                self.pop_screen()
            if not self.is_screen_installed("view-1"):
                self.install_screen(TriageView(self), "view-1")
            self.push_screen("view-1")

    def action_ramp(self) -> None:
        """Return to the ramp."""
        with self.batch_update():
            while len(self.screen_stack) > 1:
                self.pop_screen()

    async def action_quit(self) -> None:
        """Stop the ramp and leave once it has stopped; asked again, leave at once."""
        if self._run is not None and not self._run.done() and not self._leaving:
            self._leaving = True
            self._ramping.stop()
            self.action_ramp()
            self.repaint()
            self._run.add_done_callback(lambda _: self._left())
            self.set_timer(STOP_S, self._left)
            return
        self._left()

    def _left(self) -> None:
        if not self._exit:
            self.exit(0)

    async def finish(self) -> None:
        """Let nothing of the ramp go on; what made it end by itself is raised."""
        if self._run is not None:
            if not self._run.done():
                self._run.cancel()
            done, _ = await asyncio.wait({self._run})
            for run in done:
                if not run.cancelled():
                    run.result()


async def show_ramp(feed: Feed, ramping: Ramping, *, mouse: bool = True, **options: Any) -> None:
    """Run a ramp with its screen until that is left; what goes wrong is raised."""
    app = RampDashboard(feed, ramping, **options)
    loop = asyncio.get_running_loop()
    with told_afterwards(), given_back():
        for number in ENDING:
            loop.add_signal_handler(number, app.call_later, app.action_quit)
        try:
            app.outcome(await app.run_async(mouse=mouse))
        finally:
            for number in ENDING:
                loop.remove_signal_handler(number)
            await app.finish()
            await app.end_recording()
