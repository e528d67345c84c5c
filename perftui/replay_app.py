"""The dashboard over a recording, as an app: the same screens, with a clock.

`replay` is what `perftui replay` calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perftui.app import Dashboard, told_afterwards
from perftui.faults import FAULTS
from perftui.feed import Feed
from perftui.keytable.key import Place
from perftui.recording.reader import Recording
from perftui.refusing import REFUSED
from perftui.replay import ReplayFeed
from perftui.replaying import Replaying
from perftui.terminal import given_back
from perftui.viewing import WINDOWS_S, Viewing
from perftui.widgets.bindings import bindings

AGAIN_S = 2.0


class ReplayDashboard(Dashboard):
    """The dashboard over a recording: the same screens, with a clock."""

    BINDINGS = bindings("replay")
    also: tuple[Place, ...] = ("replay",)

    def __init__(self, feed: ReplayFeed, lives: Callable[[], str] = str, **options: Any) -> None:
        super().__init__(feed, **options)
        self._lives = lives
        """Says what of it runs again, as long as something does."""

    def on_mount(self) -> None:
        """Look now and then whether what has ended runs again."""
        super().on_mount()
        if self._lives is not str:
            self.set_interval(AGAIN_S, self._look_for_the_living)

    def _look_for_the_living(self) -> None:
        with FAULTS.spared("a look for the living"):
            if living := self._lives():
                self.remark(f"{living} runs again: q goes on with it")

    def viewing_of(self, feed: Feed, clock: Callable[[], float], window_s: float) -> Viewing:
        """Return how a recording is looked at."""
        if not isinstance(feed, ReplayFeed):
            raise TypeError("a replay is of a recording")
        self._replaying = Replaying(feed, clock, window_s)
        return self._replaying

    def refused(self) -> str:
        """Return why nothing can be asked here."""
        return REFUSED

    def action_thing(self, by: int) -> None:
        """Go to what happened next, or before."""
        self._moved(self._replaying.thing(by))

    def action_speed(self, by: int) -> None:
        """Play faster or slower."""
        self._moved(self._replaying.speed(by))

    def action_begin(self) -> None:
        """Go to the beginning."""
        self._moved(self._replaying.to_begin())


def replay(
    recording: Recording,
    at: float | None = None,
    *,
    slow: bool = False,
    light: bool = False,
    mouse: bool = True,
    window_s: float = WINDOWS_S[1],
    lives: Callable[[], str] = str,
) -> int:
    """Open the dashboard on a recording, at a moment or its end; return the exit code.

    `lives` says what of it runs again; it is asked now and then.
    """
    with told_afterwards(), given_back():
        feed = ReplayFeed(recording, at=at, window_s=window_s)
        app = ReplayDashboard(feed, lives, slow=slow, light=light, window_s=window_s)
        return app.outcome(app.run(mouse=mouse))
