"""The screen of a ramp, where there is a terminal for one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from perftui import terminal
from perftui.commands.opening import imported, settled
from perftui.feed import Feed
from perftui.model.ramp import RampCourse
from perftui.ramp.course import Course
from perftui.ramp.run import Ramp, Ramped

INTERRUPTED = "interrupted"

Show: TypeAlias = Callable[[Feed, "Raised"], Coroutine[Any, Any, None]]
"""Runs a ramp with its screen until that is left."""


class Raised:
    """A ramp that can be looked at and stopped."""

    def __init__(self, ramp: Ramp, course: Course, start: float, most: float) -> None:
        self._ramp = ramp
        self._course = course
        self._bounds = start, most
        self.ramped: Ramped | None = None
        """How it went; None until it is over."""

    @property
    def course(self) -> RampCourse:
        """The ramp as it stands."""
        return self._course.seen

    async def run(self) -> None:
        """Raise the load until something gives, or until it is stopped."""
        self.ramped = await self._ramp.run(*self._bounds)
        self._course.over(self.ramped)

    def stop(self) -> None:
        """Send nothing more."""
        self._course.stopping()
        self._ramp.stop(INTERRUPTED)


def screen_for(*, slow: bool, ascii_only: bool) -> Show | None:
    """Return what shows a ramp as the settings want it; None where there is no terminal."""
    if not terminal.is_there():
        return None
    config = settled()
    app = imported("perftui.ramp_app", config, ascii_only)

    async def show(feed: Feed, raised: Raised) -> None:
        light = config.theme == "light"
        options = {"slow": slow, "light": light, "mouse": config.mouse, "window_s": config.window_s}
        await app.show_ramp(feed, raised, **options)

    return show
