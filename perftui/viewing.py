"""How the service is being looked at: over which window, at which moment, moving or standing still.

Takes a feed, gives pictures of it. Every screen shows the same picture, so all of them follow the one
cursor. What the hand on the keys should know comes back as a remark, empty when the picture tells it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from perftui.feed import Feed
from perftui.findings.beginnings import Beginnings
from perftui.findings.steady import LATELY_S, Steady
from perftui.model.comparison import baseline
from perftui.model.happenings import Finding
from perftui.model.steps import Steps, finished
from perftui.model.summary import Summary
from perftui.present.picture import Picture
from perftui.present.text.delta import Mark
from perftui.present.text.units import window

WINDOWS_S = (10.0, 60.0, 300.0, 900.0)

MOST_MOMENTS = 3
"""Of the past are judged for one picture: each takes as long as the picture."""

_WHOLE = 0.95
"""A window of which so much is covered counts as covered."""


class Viewing:
    """The window, the cursor and the pause, and the picture they give."""

    def __init__(self, feed: Feed, clock: Callable[[], float], window_s: float = WINDOWS_S[1]) -> None:
        self._feed = feed
        self._clock = clock
        self._window_s = window_s
        self._cursor: float | None = None
        self._held_at: tuple[float, str] | None = None
        self._steady = Steady()
        self._judged_since = math.inf
        self._beginnings = Beginnings()
        self._findings: tuple[Finding, ...] = ()
        self._summary = feed.summary(window_s)
        self._mark: tuple[float, Mark] | None = None
        self._known: tuple[float, float] | None = None

    def picture(self) -> Picture:
        """Take a new picture."""
        return finished(self.picture_steps())

    def picture_steps(self) -> Steps[Picture]:
        """Take a new picture in steps; left before the last one, they have changed nothing.

        They are to be left when something else is looked at meanwhile.
        """
        first, now = self._feed.reach()
        if self._cursor is not None and first is not None:
            # What is stood on may be forgotten while one looks at it.
            self._cursor = max(self._cursor, first)
        cursor, held = self._cursor, self._held_at
        summary = yield from self._feed.summary_steps(self._window_s, cursor)
        yield
        lately = None
        if self._window_s > LATELY_S:
            lately = yield from self._feed.summary_steps(LATELY_S, cursor)
            yield
        self._summary = summary
        # The past is judged by itself: what stands now is not to be judged by it afterwards.
        steady, findings = (self._steady if cursor is None else Steady()).next(summary, lately)
        if cursor is None:
            self._judged_since = min(self._judged_since, summary.at)
            self._steady = steady
            if not held:
                self._feed.judged(summary.at, findings)
        self._findings, unknown_at = self._begun(findings)
        if not held:
            # A picture that stands still does so as a whole.
            self._known = (first, now) if first is not None else None
        covered_s = summary.window_s
        return Picture(
            # Charts and words go by the window asked for, however much of it there is by now.
            replace(summary, window_s=self._window_s),
            findings=self._findings,
            looks_back=unknown_at is not None,
            covered_s=covered_s if covered_s < _WHOLE * self._window_s else None,
            paused_s=self._clock() - held[0] if held else None,
            paused_at=held[1] if held else "",
            rewound_s=max(now - cursor, 0.0) if cursor is not None else None,
            rewound_to=_clock_time(cursor) if cursor is not None else "",
            mark=self._marked(),
            known=self._known,
        )

    def look_back_steps(self) -> Steps[None]:
        """Look in the past for when what stands began, a few moments of it; the next picture tells."""
        for _ in range(MOST_MOMENTS):
            findings, at = self._begun(self._findings)
            if at is None:
                return
            yield from self._beginnings.look_steps(at, findings, self._window_s, self._feed.past_steps)

    def _begun(self, findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], float | None]:
        # A moment of the past is always judged afresh.
        since = self._judged_since if self._cursor is None else math.inf
        return self._beginnings.known(findings, since, self._window_s, self._feed.past_steps)

    def pause(self) -> str:
        """Stand still, or go on."""
        if self._cursor is not None:
            return "stands still already: End is live"
        if self._held_at is None:
            self._held_at = (self._clock(), time.strftime("%H:%M:%S"))
            self._feed.hold()
        else:
            self._go_on()
        return ""

    def step(self, by: int) -> str:
        """Move the cursor by ticks of the chart."""
        return self._move(by * tick_s(self._summary))

    def leap(self, by: int) -> str:
        """Move the cursor by whole windows."""
        return self._move(by * self._window_s)

    def go_to(self, moment: float) -> str:
        """Put the cursor on the end of the second in which a moment lies."""
        first, now = self._feed.reach()
        if first is None or moment < first:
            begins = f", which begins at {_clock_time(first)}" if first is not None else ""
            return f"{_clock_time(moment)} is older than history{begins}"
        self._go_on()
        at = math.floor(moment) + 1
        self._cursor = at if at < math.floor(now) else None
        return f"as it was at {_clock_time(at)}: End is live" if self._cursor else "this is now"

    def to_live(self) -> str:
        """Return to the present."""
        if self._cursor is None and self._held_at is None:
            return "live already"
        self._cursor = None
        self._go_on()
        return ""

    def mark(self) -> str:
        """Mark the moment that is looked at: from now on differences are told against it."""
        at = self._cursor if self._cursor is not None else self._summary.at
        self._mark = (self._window_s, Mark(at, _clock_time(at), baseline(self._summary)))
        return f"marked {_clock_time(at)}: p95 is held against the {window(self._window_s)} before"

    def _marked(self) -> Mark | None:
        if self._mark is None:
            return None
        window_s, mark = self._mark
        if window_s != self._window_s:
            # Over another window things stood otherwise then, as they do now; what has been forgotten since
            # can't be told anew, and two windows of different length can be compared as well.
            then = self._feed.summary(self._window_s, mark.at)
            if then.totals.requests:
                mark = replace(mark, then=baseline(then))
            self._mark = (self._window_s, mark)
        return self._mark[1]

    def next_window(self) -> None:
        """Look at the next longer window; after the longest, the shortest."""
        self._window_s = WINDOWS_S[(WINDOWS_S.index(self._window_s) + 1) % len(WINDOWS_S)]
        self._judged_since = math.inf

    def _move(self, by_s: float) -> str:
        first, now = self._feed.reach()
        if first is None:
            return "no history yet"
        standing = self._cursor is not None or self._held_at is not None
        if by_s > 0 and not standing:
            return "this is now: [ steps back"
        at = math.floor(self._cursor if self._cursor is not None else self._summary.at) + by_s
        self._go_on()
        if at >= math.floor(now):
            self._cursor = None
            return "live again"
        self._cursor = max(at, first)
        return f"history begins here, at {_clock_time(first)}" if at <= first else ""

    def _go_on(self) -> None:
        self._held_at = None
        self._feed.release()


def tick_s(summary: Summary) -> float:
    """Return the time between two points of the charts."""
    if len(summary.points) < 2:
        return 1.0
    return max(math.ceil(summary.points[1].at - summary.points[0].at), 1)


def _clock_time(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))
