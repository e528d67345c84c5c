"""What of a worker is on the disk, and what of that is told."""

from __future__ import annotations

import asyncio
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
from perftui_agent.wire.messages import ActionRequest
from perftui_agent.wire.registration import StacksOnSignal


async def refuse(request: ActionRequest, *_: object) -> Refusal:
    return Refusal(id=request.id, reason="")


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
