"""Carries messages between the app's event loop and that of the agent's thread, a few at a time.

Whoever gives waits until there is room; nobody ever waits for a lock, and a loop that stands still has
no more than that few to come back to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OtherSideGoneError(Exception):
    """The loop at the other end runs no more."""


def tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *arguments: object) -> None:
    """Have a loop call something soon; `OtherSideGoneError` if it has been closed."""
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        raise OtherSideGoneError from None


class Passage(Generic[T]):
    """One way: `give` on one loop, `take` on the other."""

    def __init__(self, giver: asyncio.AbstractEventLoop, taker: asyncio.AbstractEventLoop, room: int) -> None:
        self._giver = giver
        self._taker = taker
        self._room = asyncio.Semaphore(room)
        self._waiting: asyncio.Queue[T] = asyncio.Queue()

    async def give(self, item: T) -> None:
        """Hand `item` over, as soon as there is room for it."""
        await self._room.acquire()
        tell(self._taker, self._waiting.put_nowait, item)

    def give_at_once(self, item: T) -> None:
        """Hand over what has to come through whether or not there is room: a last word."""
        tell(self._taker, self._waiting.put_nowait, item)

    async def take(self) -> T:
        """Return the next item; what was taken before is now done with."""
        return await self._waiting.get()

    def done(self) -> None:
        """Say that an item has been dealt with: there is room for another."""
        tell(self._giver, self._room.release)
