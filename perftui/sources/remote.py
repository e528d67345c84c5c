"""The workers behind a service's remote door.

What is known of them is what the door says. A worker of which it says nothing any more has ended, if others
of the same place are spoken of: a connection that is made again may reach another host.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager

from perftui.model.text import clean
from perftui.sources.door import Door
from perftui.sources.leftover import Left
from perftui.sources.stream import Connection
from perftui.sources.target import RemoteTarget
from perftui_agent.wire.door import MAX_CHANNELS
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.lives import place_of
from perftui_agent.wire.registration import Registration


class RemoteHost:
    """Wherever a door leads."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def living(self) -> Sequence[Registration]:
        """Return who is there as the door said last."""
        roster = self._door.roster
        return [clean(each) for each in roster.workers[:MAX_CHANNELS]] if roster is not None else ()

    def is_dead(self, registration: Registration, *, connected: bool) -> bool:
        """Go by what the door says, as long as it is open."""
        roster = self._door.roster
        if connected or roster is None or not self._door.is_open:
            return False
        there = {each.worker.id for each in roster.workers}
        same_place = any(_place(each.worker) == _place(registration.worker) for each in roster.workers)
        return same_place and registration.worker.id not in there

    def connect(self, registration: Registration) -> AbstractAsyncContextManager[Connection]:
        """Open a channel."""
        return self._door.channel(registration.worker.id)

    async def frames_left_by(self, worker: WorkerIdentity, after_seq: int) -> Sequence[Frame]:
        """Ask the door to read its black box."""
        told = await self._door.remains(worker.id, after_seq)
        return [each.frame for each in told if each.frame is not None]

    async def evidence_left(self, _followed: Collection[WorkerIdentity], /) -> Sequence[Left]:
        """Ask the door to read the boxes of the dead."""
        told = await self._door.remains()
        return [Left(each.worker, tuple(each.evidence)) for each in told if each.worker is not None]


@contextlib.asynccontextmanager
async def remote_host(target: RemoteTarget, token: str) -> AsyncIterator[RemoteHost]:
    """Knock at a target's door; `TargetError` if nobody opens."""
    async with Door(target, token) as door:
        yield RemoteHost(door)


def _place(worker: WorkerIdentity) -> tuple[str, str, str]:
    return worker.host, *place_of(worker)
