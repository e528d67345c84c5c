"""Workers that are no more and have left a black box: who they were, when they were last heard, what they
told.

Believed as their registrations were. Which service a box is of, and where that listened, the box says itself:
the entry of a dead worker is swept by the next that starts, its box is kept for an hour.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from perftui.model.text import clean
from perftui.record import Record
from perftui.sources.discovery import directories
from perftui.sources.leftover import believable
from perftui.sources.match import matches
from perftui.sources.placing import Placing
from perftui.sources.target import LocalTarget
from perftui_agent.wire.boxes import read_box, read_evidence, whole_messages
from perftui_agent.wire.codec import WireError, decode_from_agent
from perftui_agent.wire.frames import WIRE_VERSION, Frame, Hello
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.lives import file_stem, judge
from perftui_agent.wire.registration import Registration, check_private

HEAD_BYTES = 256 * 1024
"""In which a box says whose it is."""


class Dead(Record, frozen=True):
    """A worker that is no more, and what is left of it."""

    path: str
    hello: Hello
    frames: tuple[Frame, ...]
    """The oldest first, on our time axis; thinned ones come first."""
    evidence: tuple[Evidence, ...] = ()

    @property
    def last_at(self) -> float:
        """When it told of itself last."""
        return max([frame.ended_at for frame in self.frames], default=0) / 1e9

    def as_registered(self) -> Registration:
        """Return the entry it had, as far as its last frame tells."""
        listeners = [each.address for frame in self.frames[-1:] for each in frame.listeners]
        return Registration(
            wire=WIRE_VERSION,
            worker=self.hello.worker,
            socket="",
            tcp=[each for each in listeners if not each.startswith("/")],
            unix=[each for each in listeners if each.startswith("/")],
        )


def dead_workers(where: Sequence[Path] | None = None) -> list[Dead]:
    """Return the workers that have ended and left a box that can be read, the one that ended last first."""
    found: dict[str, Dead] = {}
    for directory in directories() if where is None else where:
        try:
            check_private(directory)
            paths = sorted(directory.glob("*.ring"))
        except OSError:
            continue
        for path in paths:
            dead = _read(path)
            if dead is not None:
                found.setdefault(dead.hello.worker.id, dead)
    return sorted(found.values(), key=lambda each: -each.last_at)


def meant_by(targets: Iterable[LocalTarget], dead: Iterable[Dead]) -> list[Dead]:
    """Return the dead that any of `targets` means, with the siblings that went with the last of them."""
    wanted = tuple(targets)
    return [each for each in dead if any(matches(target, each.as_registered()) for target in wanted)]


def _read(path: Path) -> Dead | None:
    try:
        if not believable(path):
            return None
        hello = _introduction(path)
        if hello is None or hello.wire != WIRE_VERSION or path.name != f"{file_stem(hello.worker)}.ring":
            return None
        if judge(hello.worker, os.fspath(path.with_suffix(".sock"))) != "dead":
            return None
        _, frames = read_box(path)
        _, evidence = read_evidence(path)
    except (OSError, WireError):
        return None
    placing = Placing(hello.worker)
    placed = tuple(clean(placing.place(frame)) for frame in frames)
    return Dead(os.fspath(path), clean(hello), placed, tuple(clean(evidence)))


def _introduction(path: Path) -> Hello | None:
    with path.open("rb") as file:
        data = file.read(HEAD_BYTES)
    for message in whole_messages(data):
        said = decode_from_agent(message)
        return said if isinstance(said, Hello) else None
    return None
