"""Earlier frames that wait their turn: those of all workers, the latest second first.

A worker's past is hundreds of times as much as its present, and the picture that is waited for needs
little of it. So what agents send of it stays as it came until somebody has time for it, and is then told
second by second, of all workers at once: a second whose frames come together is added up once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from perftui_agent.wire.codec import WireError, decode_from_agent
from perftui_agent.wire.frames import Frame, History
from perftui_agent.wire.parts import WorkerId

MAX_BYTES = 16 * 1024 * 1024
"""Of one worker: an agent keeps 8 MB unless it is told otherwise. What is beyond has to wait."""


class Backlog:
    """Takes chunks of history as they travel, latest first; gives frames."""

    def __init__(self, place: Callable[[WorkerId, Frame], Frame] = lambda _, frame: frame) -> None:
        self._place = place
        """Lays a frame on the time axis: it is that which tells what belongs to one second."""
        self._chunks: dict[WorkerId, deque[bytes]] = {}
        self._frames: dict[WorkerId, list[Frame]] = {}
        """Of each worker those of the chunk that is being told, oldest first."""

    def __bool__(self) -> bool:
        return bool(self._chunks or self._frames)

    def is_full(self, worker: WorkerId) -> bool:
        """Tell whether a worker's chunks are as many as may wait."""
        return sum(map(len, self._chunks.get(worker, ()))) > MAX_BYTES

    def add_chunk(self, worker: WorkerId, data: bytes) -> None:
        """Take a `History` as it came."""
        self._chunks.setdefault(worker, deque()).append(data)

    def add_frames(self, worker: WorkerId, frames: Iterable[Frame]) -> None:
        """Take what a dead worker has left, oldest first; it may be nothing."""
        if left := list(frames):
            self._frames.setdefault(worker, []).extend(left)

    def forget(self, worker: WorkerId) -> None:
        """Drop what a worker has sent: it will send it again."""
        self._chunks.pop(worker, None)
        self._frames.pop(worker, None)

    def take(self) -> list[tuple[WorkerId, Frame]]:
        """Return the frames of the latest second that waits; none if nothing does."""
        for worker in list(self._chunks):
            self._open(worker)
        latest = max([_second(frames[-1]) for frames in self._frames.values()], default=0)
        taken: list[tuple[WorkerId, Frame]] = []
        for worker, frames in list(self._frames.items()):
            if _second(frames[-1]) == latest:
                taken.append((worker, frames.pop()))
            if not frames:
                del self._frames[worker]
        return taken

    def _open(self, worker: WorkerId) -> None:
        """Decode a worker's next chunk, if it is its turn."""
        chunks = self._chunks[worker]
        while chunks and worker not in self._frames:
            frames = [self._place(worker, frame) for frame in _frames_of(chunks.popleft())]
            if frames:
                self._frames[worker] = sorted(frames, key=lambda frame: frame.ended_at)
        if not chunks:
            del self._chunks[worker]


def _frames_of(data: bytes) -> list[Frame]:
    """Return the frames of a chunk; of nonsense none."""
    try:
        message = decode_from_agent(data)
    except WireError:
        return []
    return message.frames if isinstance(message, History) else []


def _second(frame: Frame) -> int:
    return frame.ended_at // 1_000_000_000
