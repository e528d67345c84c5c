"""Black boxes of made-up workers: `write_box(directory, hello(), [frame(1, T + 1)])`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from perftui_agent.wire.boxes import envelope
from perftui_agent.wire.codec import encode
from perftui_agent.wire.frames import Frame, Hello


def write_box(directory: Path, said: Hello, frames: Iterable[Frame], *, name: str = "") -> Path:
    """Write the box that a worker leaves in its runtime directory; return where it is."""
    path = directory / (name or f"{said.worker.pid}-{said.worker.started_at:.2f}.ring")
    messages = [encode(said), *(encode(frame) for frame in frames)]
    path.write_bytes(b"".join(map(envelope, messages)))
    path.chmod(0o600)
    return path
