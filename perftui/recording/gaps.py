"""What of a recording can't be read: of when it would have told, in a sentence each.

Takes stretches where no block is, and blocks that are not what was written; gives what belongs among the
events. Each is told once, however often it is come upon.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Literal

from perftui.model.events import Missing
from perftui.recording.blocks import Kind
from perftui.recording.layout import Damage
from perftui.recording.places import Place


def clock_time(moment: float) -> str:
    """Return a moment as a clock shows it."""
    return time.strftime("%H:%M:%S", time.localtime(moment))


class Gaps:
    """What is missing, as far as has been read."""

    def __init__(self) -> None:
        self._found: dict[int, Missing] = {}

    def not_ended(self, at: float, *, grows: bool = False) -> None:
        """Take in that whoever wrote it was killed, that the file has been cut off, or is written still."""
        what = "it is being recorded still" if grows else "it was not ended in order"
        sentence = f"{what}, and goes until {clock_time(at)}"
        self._found[sys.maxsize] = Missing(at, sentence)

    def miss(self, place: Place) -> None:
        """Take in that a block can't be read."""
        header = place.header
        told = header.kind != "H"  # a head tells of no time
        first, last = (header.first_ns / 1e9, header.last_ns / 1e9) if told else (0.0, 0.0)
        self._miss(place.offset, header.size, first, last, header.kind)

    def told(self) -> list[Missing]:
        """Return what is missing, in the order in which it lies there."""
        return [self._found[offset] for offset in sorted(self._found)]

    def note(self, damage: Sequence[Damage], places: Sequence[Place], began_at: float) -> None:
        """Take in where no block is, and of when it might have told."""
        if not damage:
            return
        # What is merged, or was remembered, lies behind what happened later.
        live = [place for place in places if place.header.kind in {"T", "S", "L"}]
        for each in damage:
            before = [place.header.last_ns for place in live if place.offset < each.offset]
            after = [place.header.first_ns for place in live if place.offset > each.offset]
            first = max(before, default=round(began_at * 1e9)) / 1e9
            last = min(after, default=round(first * 1e9)) / 1e9
            self._miss(each.offset, each.size, first, max(first, last), "")

    def _miss(self, offset: int, size: int, first: float, last: float, kind: Kind | Literal[""]) -> None:
        if offset in self._found:
            return
        if kind == "H":
            what = "what it is of is not known"
        elif kind == "L":
            what = f"what happened to workers around {clock_time(first)} may be missing"
        elif kind == "C":
            what = f"it takes longer to open around {clock_time(first)}"
        elif last - first >= 1.0:
            what = f"frames between {clock_time(first)} and {clock_time(last)} are missing"
        else:
            what = f"frames around {clock_time(first)} may be missing"
        self._found[offset] = Missing(first, f"{size} bytes at {offset} are damaged: {what}")
