"""`slow-messages`: the shop's assistant thinks for a third of a second about each message of a chat."""

from __future__ import annotations

import asyncio
import random

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect

from demo_app.faults.fault import Fault
from demo_app.faults.switches import active

router = APIRouter(tags=["chat"])

SLOW_S, QUICK_S = 0.35, 0.03


@router.websocket("/ws/chat")
async def chat(websocket: WebSocket) -> None:
    """Answer each message of a customer."""
    await websocket.accept()
    try:
        while True:
            asked = await websocket.receive_text()
            await asyncio.sleep(SLOW_S if active("slow-messages") else QUICK_S)
            await websocket.send_text(f"about {asked}: it is on its way")
    except WebSocketDisconnect:
        return


async def _talk(url: str, rng: random.Random) -> None:
    """Ask something, read the answer, think, and ask again."""
    async with connect(f"ws{url.removeprefix('http')}/ws/chat", proxy=None) as websocket:
        while True:
            await websocket.send(f"order {rng.randint(1, 30_000)}")
            await websocket.recv()
            await asyncio.sleep(rng.uniform(0.4, 1.0))


async def _customers(url: str, rng: random.Random) -> None:
    await asyncio.gather(*(_talk(url, rng) for _ in range(4)))


FAULT = Fault(
    kind="slow-messages",
    subject=r"/ws/chat$",
    route="WS /ws/chat",
    shows="each message of a WebSocket takes long",
    look="faults/slow_messages.py chat",
    mend="say at once that it was heard, and answer when there is something to say",
    near="customers who think for long, and an assistant that doesn't",
    router=router,
    crowd=_customers,
)
