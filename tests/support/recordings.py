"""Recordings of made-up services: `record(tmp_path / "a.perftui", traffic(2, 3, 30))`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from perftui.recording.entries import Entry, moment_of
from perftui.recording.writer import RecordingWriter
from tests.support.frames import T


def record(path: Path, events: Iterable[Entry], *, began_at: float = T, close: bool = True) -> Path:
    """Write a recording of `events` as if they had come when they say; return where it is."""
    writer = RecordingWriter(path, "localhost:8000", began_at)
    at = began_at
    for event in events:
        at = max(at, moment_of(event))
        if writer.flush_due(at) and writer._packing is not None:
            writer._packing.result()  # nothing depends on how fast this machine packs
        writer.add(event)
    if close:
        writer.close(at)
    else:
        writer.flush(at)
        abandon(writer)
    return path


def abandon(writer: RecordingWriter) -> None:
    """Leave a recording as a kill leaves it."""
    writer._packer.shutdown()
    os.close(writer._file)
