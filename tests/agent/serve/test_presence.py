"""What of a worker is on the disk, and what of that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from perftui_agent.guard import Guard
from perftui_agent.inspect.on_signal import SignalledStacks
from perftui_agent.listeners import Listeners
from perftui_agent.presence import Presence
from perftui_agent.serve.introduction import introduce
from perftui_agent.serve.rendezvous import Rendezvous
from perftui_agent.serve.worker_socket import WorkerSocket
from perftui_agent.settings import Settings
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.messages import ActionRequest
from perftui_agent.wire.registration import StacksOnSignal


async def refuse(request: ActionRequest, *_: object) -> Refusal:
    return Refusal(id=request.id, reason="")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what is to come sooner than the second look for listening sockets."""
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come")


def test_a_signal_that_can_not_be_seen_after_is_told_to_nobody(tmp_path: Path) -> None:
    """Neither in the entry nor to the alarm: it may end the process, and nobody looks for six seconds."""
    told: list[StacksOnSignal | None] = []

    async def test() -> None:
        worker = introduce("shop", "", 0.0, Settings()).worker
        rendezvous, stacks = Rendezvous(worker, str(tmp_path / "here")), SignalledStacks()
        stream = WorkerSocket(rendezvous.socket_path, hello=bytes, history=list, act=refuse)
        await stream.open()
        presence = Presence(
            rendezvous, stream, None, Listeners(), Guard(), lambda _, each: told.append(each), stacks
        )
        try:
            assert await presence.mend()
            assert rendezvous.stacks is not None
            assert told == [rendezvous.stacks]
            rendezvous.stacks_path.unlink()
            rendezvous.stacks_path.mkdir()
            assert not await presence.mend()
            assert told[1:] == [None]
            rendezvous.stacks_path.rmdir()
            assert await presence.mend()
            assert rendezvous.stacks == told[0]
        finally:
            stacks.end()
            rendezvous.withdraw()
            await stream.close()

    asyncio.run(test())


def test_what_is_removed_is_made_again_after_the_next_frame(tmp_path: Path) -> None:
    """Frames ask the directory alone, and as long as nothing has come or gone they ask for no more."""
    mended: list[StacksOnSignal | None] = []
    frame = Frame(seq=1, ended_at=0, span_ns=1)

    async def test() -> None:
        worker = introduce("shop", "", 0.0, Settings()).worker
        rendezvous, stacks = Rendezvous(worker, str(tmp_path / "here")), SignalledStacks()
        stream = WorkerSocket(rendezvous.socket_path, hello=bytes, history=list, act=refuse)
        await stream.open()
        presence = Presence(
            rendezvous, stream, None, Listeners(), Guard(), lambda _, each: mended.append(each), stacks
        )
        assert await presence.mend()
        await asyncio.sleep(0.01)  # a tick of the file system's clock
        looking = asyncio.create_task(presence.run())
        try:
            await until(lambda: len(mended) == 2)  # with the first look for listening sockets
            for _ in range(3):
                presence.note(frame)
                await asyncio.sleep(0)
            assert len(mended) == 2
            for path in (stream.path, rendezvous.stacks_path):
                path.unlink()
                presence.note(frame)
                await until(path.exists)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            stacks.end()
            rendezvous.withdraw()
            await stream.close()

    asyncio.run(test())
