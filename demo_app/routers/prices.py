"""Prices as they change, over a WebSocket."""

from __future__ import annotations

import asyncio
import random

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

router = APIRouter(tags=["prices"])

INTERVAL_S = 1.0


@router.websocket("/ws/prices")
async def prices(websocket: WebSocket) -> None:
    """Send a price change a second until the customer leaves."""
    await websocket.accept()
    try:
        while True:
            change = {"item_id": random.randint(1, 20_000), "price_cents": random.randrange(490, 49_990, 10)}
            await websocket.send_json(change)
            await asyncio.sleep(INTERVAL_S)
    except WebSocketDisconnect:
        return
