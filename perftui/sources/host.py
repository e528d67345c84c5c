"""Where workers run that can be followed: this host, and those behind remote doors."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from websockets.asyncio.client import unix_connect

from perftui.sources.discovery import discover, may_connect
from perftui.sources.leftover import Left, evidence_left, frames_left_by
from perftui.sources.match import matching
from perftui.sources.stream import OPEN_TIMEOUT_S, Connection
from perftui.sources.target import LocalTarget
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, Frame
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.lives import here, judge, place_of
from perftui_agent.wire.registration import Registration


class Host(Protocol):
    """Somewhere workers run."""

    def living(self) -> Sequence[Registration]:
        """Return the workers that are meant and live, as far as it is known."""

    def is_dead(self, registration: Registration, *, connected: bool) -> bool:
        """Tell whether a worker has ended; in doubt it has not."""

    def connect(self, registration: Registration) -> AbstractAsyncContextManager[Connection]:
        """Connect to a worker."""

    async def frames_left_by(self, worker: WorkerIdentity, after_seq: int) -> Sequence[Frame]:
        """Return the frames that a dead worker wrote down and could not send any more."""

    async def evidence_left(self, followed: Collection[WorkerIdentity], /) -> Sequence[Left]:
        """Return what workers of the same services have kept that were gone before anybody looked."""


class ThisHost:
    """This host: its workers are found in the runtime directories, each has its own Unix socket."""

    def __init__(self, targets: Sequence[LocalTarget], where: Sequence[Path] | None) -> None:
        self._targets = targets
        self._where = where

    def living(self) -> Sequence[Registration]:
        """Look into the directories."""
        return matching(self._targets, discover(self._where).registrations)

    def is_dead(self, registration: Registration, *, connected: bool) -> bool:
        """Ask the system for its process."""
        worker = registration.worker
        if connected and worker.start_ticks and place_of(worker) != here():
            return (
                False  # its process can't be seen, and to knock beside an open connection tells nothing new
            )
        return judge(worker, registration.socket) == "dead"

    def connect(self, registration: Registration) -> AbstractAsyncContextManager[Connection]:
        """Connect to the worker's socket, if it belongs to somebody trusted."""
        path = registration.socket
        if not may_connect(path):
            raise PermissionError(f"{path} is no socket of this user or root")
        return unix_connect(
            path,
            "ws://localhost/",
            max_size=MAX_MESSAGE_BYTES,
            max_queue=2,  # megabytes of the past are not to be read before there is time for them
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=0.5,
            ping_interval=None,  # frames come every second: their absence tells more
        )

    async def frames_left_by(self, worker: WorkerIdentity, after_seq: int) -> Sequence[Frame]:
        """Read its black box."""
        return await asyncio.to_thread(frames_left_by, worker, after_seq, self._where)

    async def evidence_left(self, followed: Collection[WorkerIdentity], /) -> Sequence[Left]:
        """Read all the boxes there are."""
        services = {worker.service for worker in followed}
        # What followed ones have kept they tell themselves, or leave.
        left = await asyncio.to_thread(evidence_left, self._where, without=followed)
        return [each for each in left if each.worker.service in services]
