"""A recording, open at any moment: what was told until then, or between two moments.

Takes a file, gives events as a source gives them, `RecordingError` for a file that is none. Whatever lies in
it is hostile: what can't be believed is left out, told in `damage`, and is a `Missing` among the events, so
that no picture that lacks something goes without saying so. Moments are those of who recorded.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import TracebackType

from perftui.model.events import (
    FrameReceived,
    HistoryReceived,
    SourceEvent,
    WorkerFound,
    WorkerJoined,
)
from perftui.model.history import BLOCK_S, KEPT_S
from perftui.recording.blocks import VERSION, BlockError, Kind
from perftui.recording.entries import (
    Entry,
    Head,
    Judged,
    RampTold,
    RollCall,
    Said,
    entries_of,
    head_of,
    moment_of,
)
from perftui.recording.gaps import Gaps
from perftui.recording.layout import layout_of
from perftui.recording.places import Place, read_block
from perftui.recording.writing import is_being_written
from perftui_agent.wire.frames import WIRE_VERSION

FINE_S = 100
"""So much before a moment is told second by second, as an agent tells it to whoever connects; what is
older in tens of seconds."""

TOLD_WITHIN_S = 1.5
"""A frame is told so soon after it has ended; one that came later is among those that agents remembered."""

_MOVING: tuple[Kind, ...] = ("T", "S", "P", "L")
"""What tells until when it goes."""

KEPT_BLOCKS = 16
"""Unpacked blocks that are kept for whoever steps back and forth."""


class RecordingError(Exception):
    """Why a file can't be looked at, and what to do about it: one line each."""

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice


class Recording:
    """An open recording: `with Recording.open(path) as recording: …`."""

    def __init__(self, file: int, name: str) -> None:
        self._file = file
        self.name = name
        self._gaps = Gaps()
        self._unpacked: OrderedDict[int, list[Entry]] = OrderedDict()
        layout = layout_of(file)
        self._places = layout.places
        self._of_kind: dict[Kind, list[Place]] = {}
        for place in self._places:  # once: a day has 17,000
            self._of_kind.setdefault(place.header.kind, []).append(place)
        self.head = self._read_head()
        self.began_at = self.head.began_at
        moving = [place.header.last_ns for kind in _MOVING for place in self._of_kind.get(kind, ())]
        self.ended_at = max(moving) / 1e9 if moving else self.began_at
        self._gaps.note([each for each in layout.damage if not each.to_the_end], self._places, self.began_at)
        self._story = self._read_story()
        if not layout.closed:
            self._gaps.not_ended(self.ended_at, grows=is_being_written(file))
        merged = self._of_kind.get("C", ())
        firsts = [each.header.first_ns / 1e9 for each in merged if each.header.first == 1]
        self._first_merged_at = min(firsts, default=float("-inf"))
        """No live frame ended before: the first of those that were merged say since when there are any."""
        self._joined = {
            each.hello.worker.id: each.at for each in self._story if isinstance(each, WorkerJoined)
        }

    @classmethod
    def open(cls, path: str | Path, *, name: str = "") -> Recording:
        """Open a file, under another name if it has one; `RecordingError` if it is none, or can't be read."""
        name = name or os.fspath(path)
        try:
            # Of a pipe that nobody writes into, `open` would not return.
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise _unreadable(name, error) from None
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise RecordingError(f"{name} is no file that holds a recording", MAKE_ONE)
            return cls(file, name)
        except BaseException as error:
            os.close(file)
            if isinstance(error, OSError):
                raise _unreadable(name, error) from None
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def damage(self) -> tuple[str, ...]:
        """What is missing, as far as has been read, one sentence each; empty for a file that is whole."""
        return tuple(each.sentence for each in self._gaps.told())

    @property
    def first_at(self) -> float:
        """The first moment of which there are frames: agents remember what was before the recording."""
        firsts = [each.header.first_ns / 1e9 for each in self._places if each.header.kind in {"T", "S", "P"}]
        return min([self.began_at, *firsts])

    def judged(self) -> tuple[Judged, ...]:
        """Return which findings stood when, as whoever recorded judged."""
        return tuple(each for each in self._story if isinstance(each, Judged))

    def ramps(self) -> tuple[RampTold, ...]:
        """Return the ramps that were recorded, with how they went."""
        return tuple(each for each in self._story if isinstance(each, RampTold))

    def until(self, at: float, *, fine_s: float = FINE_S, kept_s: float = KEPT_S) -> list[SourceEvent]:
        """Return what makes the picture of a moment: all of the story, and the frames of the last `kept_s`.

        The last `fine_s` are told second by second, or a little more of them: as of one who has heard nothing
        since, where nobody told anything.
        """
        fine_from = (self._heard_at(at) - fine_s) // BLOCK_S * BLOCK_S
        oldest = at - kept_s - BLOCK_S
        merged = self._merged(oldest, fine_from)
        there = {_ten(each) for each in merged}
        frames = [
            each
            for each in self._frames(oldest, at, there)
            if _ten(each) not in there and moment_of(each) <= at and _ten(each) >= oldest - BLOCK_S
        ]
        return self._in_order([*self._told(float("-inf"), at), *merged, *frames])

    def _heard_at(self, at: float) -> float:
        """Return when a frame was told last before a moment; the moment itself, if none ever was."""
        told = [
            min(place.header.last_ns / 1e9, at)
            for place in self._places
            if place.header.kind in {"T", "S"} and place.header.first_ns <= at * 1e9
        ]
        return max(told, default=at)

    def between(self, since: float, until: float) -> list[SourceEvent]:
        """Return what was told after one moment and until another, in its order."""
        frames = [each for each in self._frames(since, until) if since < moment_of(each) <= until]
        return self._in_order([*self._told(since, until), *frames])

    def story(self) -> list[SourceEvent]:
        """Return all that was told but frames, with what is missing."""
        return self._in_order(self._told(float("-inf"), float("inf")))

    def all_of_it(self) -> Iterator[SourceEvent | Said]:
        """Yield everything that can be read, block by block."""
        yield from self._story_events()
        kinds: tuple[Kind, ...] = ("P", "T", "S")
        for kind in kinds:
            for place in self._of_kind.get(kind, ()):
                yield from (each for each in self._entries(place) if not isinstance(each, RollCall))

    def _story_events(self) -> Iterator[SourceEvent | Said]:
        for each in self._story:
            if not isinstance(each, RollCall):
                yield each

    def _told(self, since: float, until: float) -> Iterator[SourceEvent]:
        for each in self._story_events():
            if not isinstance(each, Said) and since < moment_of(each) <= until:
                yield each
        for missing in self._gaps.told():
            if since < missing.at <= until:
                yield missing

    def _in_order(self, events: Iterable[SourceEvent]) -> list[SourceEvent]:
        return sorted(events, key=self._told_at)

    def _told_at(self, event: SourceEvent) -> float:
        moment = moment_of(event)
        # What agents remember is told once they are known.
        return (
            max(moment, self._joined.get(event.worker, moment))
            if isinstance(event, HistoryReceived)
            else moment
        )

    def _merged(self, oldest: float, until: float) -> list[HistoryReceived]:
        """Return the frames of ten seconds that lie in between."""
        found = []
        for place in self._of_kind.get("C", ()):
            if _meets(place, oldest + 0.001, until - 0.001):
                found += [
                    each
                    for each in self._entries(place)
                    if isinstance(each, HistoryReceived)
                    and oldest <= _ten(each)
                    and _ten(each) + BLOCK_S <= until
                ]
        return found

    def _frames(
        self, since: float, until: float, there: Collection[float] = ()
    ) -> Iterator[FrameReceived | HistoryReceived]:
        """Yield the frames of blocks that tell of a stretch, but for those of tens of seconds that are
        there."""
        begins = self._first_merged_at
        for place in self._places:
            if place.header.kind not in {"T", "S", "P"} or not _meets(place, since, until):
                continue
            live_since = since if place.header.kind == "P" else max(since, begins)
            if there and _tens_of(place, live_since, until) <= set(there):
                continue
            for each in self._entries(place):
                if isinstance(each, FrameReceived | HistoryReceived):
                    yield each

    def _entries(self, place: Place) -> list[Entry]:
        """Return what a block holds; nothing, and that is noted, if it can't be read."""
        known = self._unpacked.get(place.offset)
        if known is None:
            try:
                # Merged frames are for the model alone, which begins by packing them.
                packs = place.header.kind == "C"
                known = entries_of(read_block(self._file, place), packs=packs)
            except (BlockError, OSError):
                self._gaps.miss(place)
                known = []
            self._unpacked[place.offset] = known
            if len(self._unpacked) > KEPT_BLOCKS:
                self._unpacked.popitem(last=False)
        else:
            self._unpacked.move_to_end(place.offset)
        return known

    def _read_head(self) -> Head:
        """Return what it says of itself; where that can't be read, what else tells."""
        if not self._places:
            raise RecordingError(f"{self.name} is no recording", MAKE_ONE)
        newer = max([place.header.version for place in self._places])
        if newer > VERSION:
            raise RecordingError(
                f"{self.name} is a recording of version {newer}, this perftui reads {VERSION}",
                "upgrade perftui",
            )
        for place in self._of_kind.get("H", ()):
            try:
                head = head_of(read_block(self._file, place))
            except (BlockError, OSError):
                self._gaps.miss(place)
                continue
            if head.wire != WIRE_VERSION:
                raise RecordingError(
                    f"{self.name} is of version {head.wire} of the wire, not of {WIRE_VERSION}",
                    "upgrade perftui" if head.wire > WIRE_VERSION else "read it with the one it is from",
                )
            return head
        live = [each.header.first_ns / 1e9 for each in self._places if each.header.kind in {"T", "S", "L"}]
        return Head(VERSION, WIRE_VERSION, Path(self.name).name, min(live, default=0.0))

    def _read_story(self) -> list[Entry]:
        story: list[Entry] = []
        for place in self._of_kind.get("L", ()):
            story += self._entries(place)
        self._unpacked.clear()
        known = {each.identity.id for each in story if isinstance(each, WorkerFound)}
        for call in [each for each in story if isinstance(each, RollCall)]:
            for identity in call.workers:
                if identity.id not in known:
                    known.add(identity.id)
                    story.append(WorkerFound(identity, self.began_at))
        return sorted(story, key=moment_of)


MAKE_ONE = "to make one: perftui record TARGET -o incident.perftui"


def _unreadable(name: str, error: Exception) -> RecordingError:
    if isinstance(error, FileNotFoundError):
        return RecordingError(f"there is no file {name}", MAKE_ONE)
    if isinstance(error, OSError):
        return RecordingError(f"{name} can't be read: {error.strerror}", MAKE_ONE)
    return RecordingError(f"{name} is no path", MAKE_ONE)


def _meets(place: Place, since: float, until: float) -> bool:
    header = place.header
    return header.first_ns / 1e9 <= until and header.last_ns / 1e9 >= since


def _tens_of(place: Place, since: float, until: float) -> set[float]:
    """Return the tens of seconds that a block's frames may have ended in, within a stretch."""
    first = max(place.header.first_ns / 1e9 - TOLD_WITHIN_S, since)
    last = min(place.header.last_ns / 1e9, until - 0.001)  # nothing is told before it has ended
    start = first // BLOCK_S * BLOCK_S
    return {start + BLOCK_S * number for number in range(int((last - start) // BLOCK_S) + 1)}


def _ten(event: FrameReceived | HistoryReceived) -> float:
    """Return the ten seconds in which most of a frame lies, as history has it."""
    frame = event.frame if isinstance(event, FrameReceived) else event.frames[0]
    second = frame.ended_at // 1_000_000_000
    middle = second - max(0, round(frame.span_ns / 1e9) - 1) // 2
    return middle - middle % BLOCK_S
