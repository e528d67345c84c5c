"""The black box of a worker that is gone: the frames it wrote and could not send any more.

Believed like a registration: in a directory that nobody else could have written to, a plain file of the
same user (or root), of a bounded size, that says itself whose it is. Reading takes some milliseconds for
each megabyte: do it in a thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from perftui.record import Record
from perftui.sources.discovery import directories
from perftui_agent.wire.boxes import read_box, read_evidence
from perftui_agent.wire.codec import WireError
from perftui_agent.wire.frames import WIRE_VERSION, Frame
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.lives import file_stem
from perftui_agent.wire.registration import UnsafeRuntimeDirError, check_private

MAX_BOX_BYTES = 64 * 1024 * 1024
"""An agent writes 8 MB unless it is told otherwise."""


class Left(Record, frozen=True):
    """What a worker has kept, whether or not it still lives."""

    worker: WorkerIdentity
    evidence: tuple[Evidence, ...]


def evidence_left(
    where: Sequence[Path] | None = None, *, without: Iterable[WorkerIdentity] = ()
) -> list[Left]:
    """Return what is kept in all boxes there are, those of the dead too, as far as they can be read."""
    found: list[Left] = []
    passed_over = {f"{file_stem(worker)}.ring" for worker in without}
    for directory in directories() if where is None else where:
        try:
            check_private(directory)
            paths = [path for path in sorted(directory.glob("*.ring")) if path.name not in passed_over]
        except OSError:
            continue
        for path in paths:
            try:
                hello, evidence = read_evidence(path) if believable(path) else (None, [])
            except (OSError, WireError):
                continue
            if hello is None or not evidence or hello.wire != WIRE_VERSION:
                continue
            if path.name == f"{file_stem(hello.worker)}.ring":  # the name of a file proves nothing by itself
                found.append(Left(hello.worker, tuple(evidence)))
    return found


def frames_left_by(
    worker: WorkerIdentity, after_seq: int, where: Sequence[Path] | None = None
) -> tuple[Frame, ...]:
    """Return the frames after `after_seq` that a worker left behind, oldest first; none if it left no box."""
    name = f"{file_stem(worker)}.ring"
    for directory in directories() if where is None else where:
        path = directory / name
        try:
            check_private(directory)
            if not believable(path):
                continue
            hello, frames = read_box(path)
        except (OSError, UnsafeRuntimeDirError, WireError):
            continue
        if hello is not None and hello.worker.id == worker.id and hello.wire == WIRE_VERSION:
            return tuple(frame for frame in frames if frame.seq > after_seq)
    return ()


def believable(path: Path) -> bool:
    """Tell whether a box is a plain file of this user (or root), of a size that can be."""
    info, parent = os.lstat(path), os.lstat(path.parent)
    trusted = {os.getuid(), 0} | ({parent.st_uid} if os.getuid() == 0 else set())
    return stat.S_ISREG(info.st_mode) and info.st_uid in trusted and info.st_size <= MAX_BOX_BYTES
