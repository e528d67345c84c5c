"""How a recording is being looked at: as a live service, but that time is the recording's, and leaps move it.

What the keys of time do in a live dashboard to the picture, they do here to the clock: it plays or stands, it
steps by a tick of the chart, leaps by a window, goes to a moment, to what happened next, to either end.
"""

from __future__ import annotations

from collections.abc import Callable

from perftui.model.steps import Steps
from perftui.present.picture import Picture, Playing
from perftui.recording.gaps import clock_time
from perftui.replay import SPEEDS, ReplayFeed
from perftui.viewing import WINDOWS_S, Viewing, tick_s


class Replaying(Viewing):
    """The window, and the clock of a recording."""

    def __init__(self, feed: ReplayFeed, clock: Callable[[], float], window_s: float = WINDOWS_S[1]) -> None:
        super().__init__(feed, clock, window_s)
        self._replay = feed

    def picture_steps(self) -> Steps[Picture]:
        """Take a new picture in steps, with how the clock stands."""
        picture = yield from super().picture_steps()
        feed = self._replay
        playing = Playing(
            feed.playing, feed.speed, clock_time(feed.at), clock_time(feed.recording.ended_at), feed.is_rough
        )
        return picture.replayed(playing)

    def pause(self) -> str:
        """Play, or stand still."""
        feed = self._replay
        if feed.playing:
            feed.stand()
            return f"stands at {clock_time(feed.at)}"
        feed.play()
        return f"plays from {clock_time(feed.at)}"

    def step(self, by: int) -> str:
        """Move the clock by ticks of the chart."""
        return self._seek(self._replay.at + by * tick_s(self._summary))

    def leap(self, by: int) -> str:
        """Move the clock by whole windows."""
        return self._seek(self._replay.at + by * self._window_s)

    def go_to(self, moment: float) -> str:
        """Put the clock on the end of the second in which a moment lies."""
        return self._seek(float(int(moment) + 1))

    def to_live(self) -> str:
        """Go to the end."""
        return self._seek(self._replay.recording.ended_at)

    def to_begin(self) -> str:
        """Go to the beginning."""
        return self._seek(self._replay.recording.began_at)

    def thing(self, by: int) -> str:
        """Go to what happened next, or before."""
        found = self._replay.next_thing(by)
        if found is None:
            return "nothing happened after this" if by > 0 else "nothing happened before this"
        self._seek(float(int(found.at) + 1))
        return f"{clock_time(found.at)} {found.sentence}"

    def speed(self, by: int) -> str:
        """Play slower or faster."""
        place = SPEEDS.index(self._replay.speed) + by
        self._replay.speed = SPEEDS[min(max(place, 0), len(SPEEDS) - 1)]
        return f"plays at {self._replay.speed:g} times the speed"

    def _seek(self, at: float) -> str:
        feed = self._replay
        feed.stand()
        feed.seek(at)
        if at <= feed.recording.began_at:
            return f"the recording begins here, at {clock_time(feed.at)}"
        return f"the recording ends here, at {clock_time(feed.at)}" if at >= feed.recording.ended_at else ""
