"""A recording under way, beside whatever else looks at the service: connections of its own, and a file.

Takes targets and a path; what a screen or a verb adds (marks, what was taken, which findings stand) lies
among the events. A disk that takes no more ends it: what was written until then is a recording.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from perftui.clock import now
from perftui.findings.steady import LATELY_S, Steady
from perftui.freezing import Freezing
from perftui.model.dashboard import Dashboard
from perftui.model.events import EvidenceKept, Marked
from perftui.model.happenings import Finding
from perftui.model.merge import merge
from perftui.model.ramp import RampCourse
from perftui.model.summarize import summarize
from perftui.recording.entries import Judged, RampTold
from perftui.recording.writer import FLUSH_S, RecordingWriter
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, TargetError

SUFFIX = ".perftui"

JUDGED_EVERY_S = 5.0

JUDGED_WINDOW_S = 60.0

LATE_S = 2.6
"""How long a live worker may take to deliver a frame that is due."""


def default_name(service: str) -> str:
    """Return how a recording that begins now is called."""
    named = "".join(each if each.isalnum() or each in "._-" else "-" for each in service)[:60].strip(".-")
    return f"{named or 'service'}-{time.strftime('%Y%m%d-%H%M%S')}{SUFFIX}"


class Recorder:
    """Writes what a source tells: `async with LiveSource(targets) as source: await Recorder(…).run()`."""

    def __init__(self, source: LiveSource, path: str) -> None:
        """Begin the file; `TargetError` where it can't be made."""
        self.path = path
        self.began_at = now()
        self.dashboard = Dashboard(source.name)
        self._source = source
        self._ending = asyncio.Event()
        self._steady = Steady()
        self._freezing = Freezing(source)
        self._judged_at = self.began_at
        self._stood: frozenset[tuple[str, str, str]] = frozenset()
        try:
            self._writer = RecordingWriter(Path(path), source.name, self.began_at)
        except FileExistsError:
            raise TargetError(f"{path} exists already", "name another file: -o FILE") from None
        except OSError as error:
            said = error.strerror or str(error)
            raise TargetError(f"{path} can't be written: {said}", "name another file: -o FILE") from None

    @property
    def size(self) -> int:
        """How large the file is."""
        return self._writer.size

    def end(self) -> None:
        """Let it end with what is there."""
        self._ending.set()

    @property
    def is_ending(self) -> bool:
        """Whether it is to end."""
        return self._ending.is_set()

    async def run(
        self,
        for_s: float | None = None,
        *,
        connected: Callable[[], None] = lambda: None,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        """Write until it is to end, or for so long and what is on its way by then. OSError as the disk says.

        `connected` is called once every worker is, `written` whenever something was.
        """
        self._source.look_back()
        try:
            await self._follow(LATE_S, written, self._is_connected)
            connected()
            await self._follow(for_s, written, lambda: False)
            ended = now()
            if not self.is_ending:
                await self._follow(LATE_S, written, lambda: self._is_covered(ended))
        finally:
            self._writer.close(now())

    def mark(self, at: float, label: str = "") -> None:
        """Take a mark that somebody has set."""
        self._writer.add(Marked(at, label))

    def ramped(self, course: RampCourse) -> None:
        """Take how a ramp went."""
        self._writer.add(RampTold(now(), course))

    def asked(self, event: EvidenceKept) -> None:
        """Take what somebody has asked a worker for."""
        self._writer.add(event)

    def judged(self, findings: Sequence[Finding], at: float) -> None:
        """Take which findings stand, if they are others than before."""
        stand = frozenset((*each.identity, each.severity) for each in findings)
        if stand != self._stood:
            self._stood = stand
            self._writer.add(Judged(at, tuple(findings)))

    async def _follow(
        self, longest_s: float | None, written: Callable[[], None], until: Callable[[], bool]
    ) -> None:
        deadline = None if longest_s is None else time.monotonic() + longest_s
        while not self.is_ending and not until():
            left_s = FLUSH_S if deadline is None else min(FLUSH_S, deadline - time.monotonic())
            if left_s <= 0:
                return
            try:
                async with asyncio.timeout(left_s):
                    event = await anext(self._source)
            except TimeoutError:
                pass
            else:
                self.dashboard = merge(self.dashboard, event)
                self._writer.add(event)
            at = now()
            self._judge(at)
            if self._writer.flush_due(at):
                written()

    def _judge(self, at: float) -> None:
        """Judge now and then: a picture takes some tens of milliseconds."""
        if at - self._judged_at >= JUDGED_EVERY_S:
            self._judged_at = at
            summary = summarize(self.dashboard, at, JUDGED_WINDOW_S)
            self._steady, found = self._steady.next(summary, summarize(self.dashboard, at, LATELY_S))
            self.judged(found, at)
            self._freezing.judged(at, found)

    def _is_connected(self) -> bool:
        alive = self.dashboard.alive
        return bool(self.dashboard.workers) and all(track.joined_at is not None for track in alive)

    def _is_covered(self, end: float) -> bool:
        return all(
            track.joined_at is None
            or (track.last_frame is not None and track.last_frame.ended_at >= end * 1e9)
            for track in self.dashboard.alive
        )


class Recordings:
    """Begins and ends recordings of the same targets, one at a time, beside a dashboard."""

    def __init__(self, targets: Sequence[LiveTarget]) -> None:
        self._targets = tuple(targets)
        self._task: asyncio.Task[None] | None = None
        self.recorder: Recorder | None = None
        """That which is under way."""
        self.failed = ""
        """Why the last one has ended by itself."""

    def begin(self, path: str) -> None:
        """Begin a recording."""
        self.failed = ""
        self._task = asyncio.create_task(self._run(path))

    async def end(self) -> None:
        """End the one under way, if there is one."""
        if self._task is not None:
            if self.recorder is not None:
                self.recorder.end()
            else:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._task = self.recorder = None

    async def _run(self, path: str) -> None:
        try:
            async with LiveSource(self._targets, listens=True) as source:
                self.recorder = Recorder(source, path)
                await self.recorder.run()
        except (TargetError, OSError) as error:
            self.failed = error.problem if isinstance(error, TargetError) else error.strerror or str(error)
        self.recorder = None
