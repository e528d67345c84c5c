"""Services with one planted limit each, for whoever looks for it: `LIMITED["pool"]`."""

from __future__ import annotations

_HEAD = """
import asyncio, os, time
from fastapi import FastAPI
from perftui_agent import instrument
app = instrument(FastAPI(), service="limited")

def compute(ms):
    # So many rounds as take that long on this machine: by CPU time, whoever else runs.
    until = time.thread_time() + ms / 1000
    while time.thread_time() < until:
        sum(range(50))
"""

LIMITED: dict[str, str] = {
    "loop": _HEAD
    + """
@app.get("/x")
async def x() -> dict[str, int]:
    compute(8)
    return {}
""",
    "gil": _HEAD
    + """
@app.get("/x")
def x() -> dict[str, int]:
    compute(8)
    return {}
""",
    "threadpool": _HEAD
    + """
import anyio.to_thread
from contextlib import asynccontextmanager

@asynccontextmanager
async def two_threads(app):
    anyio.to_thread.current_default_thread_limiter().total_tokens = int(os.environ.get("SIZE", "2"))
    yield

app.router.lifespan_context = two_threads

@app.get("/x")
def x() -> dict[str, int]:
    time.sleep(0.05)
    return {}
""",
    "pool": _HEAD
    + """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
engine = create_async_engine(
    "sqlite+aiosqlite:///limited.db", pool_size=int(os.environ.get("SIZE", "2")), max_overflow=0
)

@app.get("/x")
async def x() -> dict[str, int]:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await asyncio.sleep(0.05)
    return {}
""",
    "lock": _HEAD
    + """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
engine = create_async_engine(os.environ["DATABASE"], pool_size=50, max_overflow=0)

@app.get("/x")
async def x() -> dict[str, int]:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE stock SET left_over = left_over - 1 WHERE id = 1"))
        await asyncio.sleep(float(os.environ.get("HOLD_MS", "40")) / 1000)
    return {}
""",
    "upstream": _HEAD
    + """
import httpx
client = httpx.AsyncClient(limits=httpx.Limits(max_connections=500), timeout=30, trust_env=False)

@app.get("/x")
async def x() -> dict[str, int]:
    response = await client.get(os.environ["UPSTREAM"])
    return {"status": response.status_code}
""",
    "quota": _HEAD
    + """
@app.get("/x")
async def x() -> dict[str, int]:
    compute(4)
    return {}
""",
    "accept-queue": _HEAD
    + """
async def pauses():
    while True:
        await asyncio.sleep(0.8)
        time.sleep(0.2)

from contextlib import asynccontextmanager

@asynccontextmanager
async def pausing(app):
    task = asyncio.create_task(pauses())
    yield
    task.cancel()

app.router.lifespan_context = pausing

@app.get("/x")
async def x() -> dict[str, int]:
    compute(3)
    return {}
""",
}

UPSTREAM = """
import asyncio, os
slots = asyncio.Semaphore(1)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    async with slots:
        await asyncio.sleep(1 / float(os.environ.get("SERVES", "20")))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
"""Serves so many a second, one after the other."""
