"""What a source has to tell, in the order in which it is told: what happens now, then the past.

What happens is told in its order. Whenever nothing does, the latest second of the past that waits is told,
with a pause before the next, so that whoever listens has time for keys and paints.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

from perftui.clock import now
from perftui.model.events import HistoryReceived, SourceEvent
from perftui.sources.backlog import Backlog
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.parts import WorkerId

MAX_WAITING_EVENTS = 2000
"""Events nobody has taken yet; past it the streams wait, and the agents drop frames and count them."""

PAUSE_S = 0.002
"""Between two seconds of the past: keys, paints and live frames go first."""

BREATH_S = 0.004
"""Between two live frames: those of all workers come at once, and each takes milliseconds to decode and to
merge."""


class News:
    """Takes events and chunks of history, gives events.

    For `head_start_s`, or until `look_back` is called, only the latest second of each worker's past is told:
    the first picture has the rest of the time to itself.
    """

    def __init__(
        self,
        head_start_s: float = 0.0,
        place: Callable[[WorkerId, Frame], Frame] = lambda _, frame: frame,
    ) -> None:
        self._head_start_s = head_start_s
        self._looking_back = asyncio.Event()
        self._turn = asyncio.Lock()
        self._events: asyncio.Queue[SourceEvent] = asyncio.Queue(MAX_WAITING_EVENTS)
        self._backlog = Backlog(place)
        self._told: set[WorkerId] = set()
        """Workers of whose past something has been told."""
        self._past_at = 0.0
        """When it is time for the next second of the past, on the loop's clock."""
        self._happened = asyncio.Event()
        self._room = asyncio.Event()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Have frames decoded one after the other, with time for keys between once there is a picture."""
        async with self._turn:
            yield
            if self._looking_back.is_set():
                await asyncio.sleep(BREATH_S)

    async def put(self, event: SourceEvent) -> None:
        """Take what happens now."""
        await self._events.put(event)
        self._happened.set()

    async def keep(self, worker: WorkerId, chunk: bytes) -> None:
        """Take a `History` as it came; wait as long as too much of that worker's waits already."""
        while self._backlog.is_full(worker):
            self._room.clear()
            await self._room.wait()
        self._backlog.add_chunk(worker, chunk)
        self._happened.set()
        if worker not in self._told:
            self._past_at = 0.0
            # Megabytes are not even to be read before the first picture.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._head_start_s):
                    await self._looking_back.wait()

    def look_back(self) -> None:
        """Let the past be told from now on."""
        self._looking_back.set()
        self._past_at = 0.0
        self._happened.set()

    def leave(self, worker: WorkerId, frames: Iterable[Frame]) -> None:
        """Take what a dead worker has left, oldest first."""
        self._backlog.add_frames(worker, frames)
        self._happened.set()

    def forget(self, worker: WorkerId) -> None:
        """Drop what waits of a worker's past: it will send it again."""
        self._backlog.forget(worker)

    async def next(self) -> SourceEvent:
        """Return what is to be told next, when there is something."""
        # Taking from a queue that isn't empty lets nobody else run: many events would hold up the keys.
        await asyncio.sleep(0)
        while self._events.empty():
            self._happened.clear()
            try:
                async with asyncio.timeout_at(self._past_at if self._backlog else None):
                    await self._happened.wait()
            except TimeoutError:
                self._tell_of_the_past()
        return self._events.get_nowait()

    def _tell_of_the_past(self) -> None:
        """Let the latest second that waits be told."""
        told = self._backlog.take()
        newcomers = {worker for worker, _ in told} - self._told
        self._told |= newcomers
        first = newcomers and not self._looking_back.is_set()
        pause_s = max(self._head_start_s, PAUSE_S) if first else PAUSE_S
        self._past_at = asyncio.get_running_loop().time() + pause_s
        self._room.set()
        for worker, frame in told:
            self._events.put_nowait(HistoryReceived(worker, (frame,), now()))
