"""`db-connections`: each request for an audit has a pool of its own, and nobody closes any of them."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, HTTPException
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from demo_app.database import database_url
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode, active
from demo_app.visits import Visit

router = APIRouter(prefix="/audit", tags=["reports"])

MOST = 150
"""Of a server with more connections than a demo should take."""

_left_open: list[AsyncEngine] = []


@router.get("")
async def audit() -> dict[str, int]:
    """Count what there is to count."""
    if len(_left_open) >= MOST:
        raise HTTPException(503, "no more audits today")
    engine = create_async_engine(database_url(), pool_size=1, max_overflow=0)
    try:
        async with engine.connect() as connection:
            found = await connection.scalar(text("SELECT count(*) FROM customers"))
    except (SQLAlchemyError, OSError) as error:
        raise HTTPException(503, "the database is busy") from error
    finally:
        if active("db-connections"):
            _left_open.append(engine)
        else:
            await engine.dispose()
    return {"customers": int(found or 0)}


async def _switched(_: FastAPI, now: Mode) -> None:
    if now != "on":
        while _left_open:
            await _left_open.pop().dispose()


FAULT = Fault(
    kind="db-connections",
    subject=r"postgres",
    route="GET /audit",
    shows="the server has no connections left, and refuses who asks for one",
    look="faults/db_connections.py audit",
    mend="one engine for all requests",
    near="a pool for each request that is closed in the end",
    router=router,
    switched=_switched,
    visits=(Often(8.0, lambda _: Visit("GET", "/audit")),),
    needs=frozenset({"postgresql"}),
)
