"""A recording as the dashboard's feed: a clock that plays, stands and leaps, and what was known when it
shows.

The clock is the recording's. While it plays, events are merged as they came; a leap makes the picture anew,
of merged frames at once and then, in the background, of every second. Nothing can be asked of a service that
was.
"""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

from perftui.faults import FAULTS
from perftui.model.dashboard import Dashboard
from perftui.model.events import (
    ClockStepped,
    EvidenceKept,
    FrameReceived,
    LinkChanged,
    Marked,
    Missing,
    SourceEvent,
    WorkerFound,
    WorkerGone,
)
from perftui.model.happenings import Finding
from perftui.model.merge import merge
from perftui.model.steps import Steps, finished
from perftui.model.summarize import summary_steps
from perftui.model.summary import Summary
from perftui.model.timeline import FIRST_LOOK_S, events_until
from perftui.recording.entries import moment_of
from perftui.recording.looking import dashboard_steps, rough_dashboard
from perftui.recording.reader import Recording
from perftui.refusing import Refusing
from perftui_agent.wire.parts import WorkerId

SPEEDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

TICK_S = 0.05

AT_ONCE = 4
"""So many events are merged before keys have their turn."""

BEFORE_S = 0.5
"""What lies so close is where one is already."""


class Thing(NamedTuple):
    """Something to go to."""

    at: float
    sentence: str


class ReplayFeed(Refusing):
    """A recording that plays."""

    def __init__(
        self,
        recording: Recording,
        *,
        at: float | None = None,
        window_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.recording = recording
        self.playing = False
        self.speed = 1.0
        self._clock = clock
        self._window_s = window_s
        self.at = recording.ended_at if at is None else at
        """The moment that is shown, on the recording's time axis."""
        self._dashboard = Dashboard(recording.head.target)
        self._as_of = self.at
        self._refining: Steps[Dashboard] | None = None
        self._things = tuple(things_in(recording))
        self.seek(self.at)

    async def run(self, arrived: Callable[[WorkerId | None], None]) -> None:
        """Play, and make rough pictures whole, until cancelled."""
        before = self._clock()
        while True:
            if self._refining is not None:
                self._refine(arrived)
                await asyncio.sleep(0)
                before = self._clock()
                continue
            await asyncio.sleep(TICK_S)
            now = self._clock()
            passed_s, before = now - before, now
            if self.playing:
                await self._play(passed_s * self.speed, arrived)
                before = max(before, self._clock() - 1.0)

    @property
    def is_rough(self) -> bool:
        """Whether the picture is still of merged frames."""
        return self._refining is not None

    def play(self) -> None:
        """Let the clock run; from the end on, from the beginning."""
        if self.at >= self.recording.ended_at:
            self.seek(self.recording.began_at)
        self.playing = True

    def stand(self) -> None:
        """Let it stand."""
        self.playing = False

    def seek(self, at: float) -> None:
        """Show another moment, as well as it can be shown at once."""
        self.at = min(max(at, self.recording.began_at), self.recording.ended_at)
        with FAULTS.spared("the recording"):
            self._dashboard, self._as_of = rough_dashboard(self.recording, self.at, self._window_s)
            self._refining = dashboard_steps(self.recording, self.at)

    def settle(self) -> None:
        """Make the picture whole now."""
        if self._refining is not None:
            self._dashboard, self._refining = finished(self._refining), None

    def next_thing(self, by: int) -> Thing | None:
        """Return what comes next, or came before."""
        near = [Thing(event.at, event.sentence) for event in events_until(self._dashboard, self.at + 1)]
        known = sorted([*self._things, *(each for each in near if not _is_among(each, self._things))])
        if by > 0:
            return next((each for each in known if _shown_at(each) > self.at + BEFORE_S), None)
        return next((each for each in reversed(known) if _shown_at(each) < self.at - BEFORE_S), None)

    def go_to_thing(self, thing: Thing) -> None:
        """Show the end of the second in which something happened."""
        self.seek(_shown_at(thing))

    def reach(self) -> tuple[float | None, float]:
        """Return the first moment there is data of, and the clock."""
        return self.recording.first_at, self.at

    def summary(self, window_s: float, cursor: float | None = None) -> Summary:
        """Return the state over the window that ends at the clock, or at `cursor`."""
        return finished(self.summary_steps(window_s, cursor))

    def summary_steps(self, window_s: float, cursor: float | None = None) -> Steps[Summary]:
        """Return what `summary` does now, in steps."""
        self._window_s = window_s
        # A rough picture is that of a moment just before: at this one everybody in it would seem silent.
        return summary_steps(self._dashboard, self._as_of if self.is_rough else self.at, window_s, cursor)

    def past_steps(self, window_s: float, at: float) -> Steps[Summary] | None:
        """Return the state over the window that ended at a moment, in steps; None if it is not all known."""
        first = min(self._dashboard.history.blocks, default=math.inf)
        if self.is_rough or at - window_s < first:
            return None
        return summary_steps(self._dashboard, self.at, window_s, at)

    def look_back(self) -> None:
        """Do nothing: the past is there."""

    def asked(self, event: EvidenceKept) -> None:
        """Do nothing: nothing can be asked here."""

    def judged(self, at: float, findings: Sequence[Finding]) -> None:
        """Do nothing: a recording keeps all it has."""

    def hold(self) -> None:
        """Stand still."""
        self.stand()

    def release(self) -> None:
        """Do nothing: who wants it to go on plays."""

    async def _play(self, by_s: float, arrived: Callable[[WorkerId | None], None]) -> None:
        until = min(self.at + by_s, self.recording.ended_at)
        events = self.recording.between(self.at, until)
        for count, event in enumerate(events, 1):
            if not self.playing or self._refining is not None:
                return  # somebody has leapt meanwhile
            with FAULTS.spared(f"a {type(event).__name__}"):
                self._dashboard = merge(self._dashboard, event)
            self.at = max(self.at, moment_of(event))
            arrived(event.worker if isinstance(event, FrameReceived) else None)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        self.at = max(self.at, until)
        if self.at >= self.recording.ended_at:
            self.playing = False
            arrived(None)

    def _refine(self, arrived: Callable[[WorkerId | None], None]) -> None:
        steps = self._refining
        if steps is None:
            return
        with FAULTS.spared("the recording"):
            try:
                next(steps)
                return
            except StopIteration as done:
                if steps is self._refining:
                    self._dashboard = done.value
        self._refining = None
        arrived(None)


def things_in(recording: Recording) -> list[Thing]:
    """Return everything of a recording that one may want to go to, in order of time."""
    found = [thing for event in recording.story() if (thing := _thing(event, recording.began_at))]
    stood: frozenset[tuple[str, str]] = frozenset()
    for judged in recording.judged():
        stands = {each.identity: each for each in judged.findings}
        found += [
            Thing(judged.at, f"{each.kind} of {each.subject}")
            for identity, each in stands.items()
            if identity not in stood
        ]
        stood = frozenset(stands)
    return sorted(set(found))


def _thing(event: SourceEvent, began_at: float) -> Thing | None:
    match event:
        case WorkerFound() if event.at > began_at + FIRST_LOOK_S:
            return Thing(event.at, f"worker {event.identity.pid} has joined")
        case WorkerGone():
            return Thing(event.at, "a worker is gone")
        case LinkChanged() if event.link in {"stale", "lost"}:
            return Thing(event.at, f"the link is {event.link}")
        case ClockStepped():
            return Thing(event.at, "a clock was set")
        case Marked():
            return Thing(event.at, f"mark {event.label}".strip())
        case Missing():
            return Thing(event.at, event.sentence)
        case EvidenceKept() if event.evidence:
            first = event.evidence[0]
            return Thing(first.at / 1e9, f"{first.kind} {first.trigger or first.where}".strip())
        case _:
            return None


def _shown_at(thing: Thing) -> float:
    """Return the end of the second in which something happened: there it is in the picture."""
    return math.floor(thing.at) + 1.0


def _is_among(thing: Thing, known: Sequence[Thing]) -> bool:
    place = bisect_left(known, Thing(thing.at - 1.0, ""))
    return place < len(known) and known[place].at <= thing.at + 1.0
