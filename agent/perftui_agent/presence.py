"""Keeps a worker where it can be found: its entry, its socket, its black box.

Takes what has been opened, and looks after it as long as the agent lives: the app's listening sockets come
and go, and what is on the disk is removed underneath, at a logout, by a cleaner, or by hand. A directory
tells by one question that nothing in it came or went; all the rest is asked if something has, and with the
listening sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from perftui_agent.blackbox.box import BlackBox
from perftui_agent.guard import Guard
from perftui_agent.inspect.on_signal import SignalledStacks
from perftui_agent.listeners import Listeners
from perftui_agent.serve.rendezvous import Rendezvous
from perftui_agent.serve.worker_socket import WorkerSocket
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.registration import StacksOnSignal

LISTENERS_CHANGE_AFTER_S = (0.0, 0.25, 0.5, 1.0, 2.0)
"""When to look for the listening sockets, which servers open after the lifespan's startup."""

LISTENERS_CHANGE_EVERY_S = 5.0

MEND_AGAIN_AFTER_S = 5.0
"""How soon it is tried again to make what could not be made."""


class Presence:
    """What of a worker is on the disk."""

    def __init__(
        self,
        rendezvous: Rendezvous,
        stream: WorkerSocket,
        box: BlackBox | None,
        listeners: Listeners,
        guard: Guard,
        look_after_pulse: Callable[[Path, StacksOnSignal | None], None],
        stacks: SignalledStacks | None = None,
    ) -> None:
        self._look_after_pulse = look_after_pulse
        self._listeners = listeners
        self._rendezvous = rendezvous
        self._stream = stream
        self._box = box
        self._guard = guard
        self._stacks = stacks
        self._mending = asyncio.Lock()
        """To bind a socket takes a turn of the loop: nobody else is to bind the same meanwhile."""
        self._left_as: tuple[object, ...] | None = None
        """How the directories were when all was there."""
        self._may_miss = asyncio.Event()
        """Set when something may be missing."""

    async def run(self) -> None:
        """Look after it until cancelled."""
        await asyncio.gather(self._follow_listeners(), self._keep_there())

    def note(self, _frame: Frame) -> None:
        """See whether anything may have been removed; once a frame: three calls of the system."""
        with self._guard.guarding("serve.rendezvous"):
            if not self._is_as_it_was():
                self._may_miss.set()

    def _is_as_it_was(self) -> bool:
        if self._left_as is None or self._rendezvous.files_as_they_are() != self._left_as:
            return False
        return self._stacks is None or self._stacks.is_as_it_was()

    async def mend(self) -> bool:
        """Make what is missing and write what has changed; False if something could not be done."""
        faults = sum(self._guard.faults.values())
        async with self._mending:
            self._left_as = None
            with self._guard.guarding("serve.rendezvous"):
                if not self._rendezvous.is_there():
                    self._rendezvous.settle_again()
                path = self._rendezvous.socket_path
                if not self._stream.is_there() or self._stream.path != path:
                    await self._stream.open_again(path)
                if self._stacks is not None:
                    # Where it can't be seen after, nobody is to send a signal that may end the process.
                    stacks = None
                    with self._guard.guarding("inspect.on_signal"):
                        stacks = self._stacks.look_after(self._rendezvous.stacks_path)
                    self._rendezvous.stacks = stacks
                with self._guard.guarding("siblings"):
                    self._look_after_pulse(self._rendezvous.pulse_path, self._rendezvous.stacks)
                # Who reads the entry finds the socket, and signs of life.
                self._rendezvous.publish(self._listeners.found)
            box = self._box
            if box is not None and not (box.is_there() and box.path == self._rendezvous.box_path):
                with self._guard.guarding("blackbox"):
                    box.make_again(self._rendezvous.box_path)
            is_whole = sum(self._guard.faults.values()) == faults
            if is_whole:
                self._left_as = self._rendezvous.files_as_they_are()
        return is_whole

    async def _follow_listeners(self) -> None:
        started = time.monotonic()
        for after_s in LISTENERS_CHANGE_AFTER_S:
            await asyncio.sleep(max(0.0, started + after_s - time.monotonic()))
            await self._look()
        while True:
            await asyncio.sleep(LISTENERS_CHANGE_EVERY_S)
            await self._look()

    async def _look(self) -> None:
        with self._guard.guarding("listeners"):
            for pause_s in self._listeners.look():
                await asyncio.sleep(pause_s)
        await self.mend()

    async def _keep_there(self) -> None:
        while True:
            await self._may_miss.wait()
            self._may_miss.clear()
            if not await self.mend():
                await asyncio.sleep(MEND_AGAIN_AFTER_S)
                self._may_miss.set()
