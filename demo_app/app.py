"""The shop, put together: `uvicorn demo_app.app:app --workers 4`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from demo_app.database import database_url, make_engine, pool_size, sessions_of
from demo_app.faults.registry import FAULTS
from demo_app.following import following
from demo_app.routers import (
    api,
    catalog,
    checkout,
    config,
    export,
    faults,
    health,
    invoices,
    items,
    orders,
    payments,
    prices,
    reports,
    search,
)
from demo_app.routers.admin import create_admin
from demo_app.seed import ensure_seeded
from perftui_agent import Slo, instrument

TARGETS = Slo(
    p95_ms=200,
    error_rate=0.01,
    rps=10,
    routes={
        "GET /reports": Slo(p95_ms=800),
        "GET /catalog": Slo(p95_ms=500),
        "POST /checkout": Slo(p95_ms=1200),
        "PUT /photos/{item_id}": Slo(p95_ms=800),
    },
)
"""What the shop promises: a page in 200 ms, and more time only where a person expects to wait."""


async def warm_up(engine: AsyncEngine) -> None:
    """Import and open now what the first customer would wait for otherwise."""
    await run_in_threadpool(str)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


def create_app() -> FastAPI:
    """Return the shop; it connects to its database, and fills it if need be, when it starts."""
    url = database_url()
    engine = make_engine(url, pool_size())

    @asynccontextmanager
    async def lifespan(shop: FastAPI) -> AsyncIterator[None]:
        await ensure_seeded(url)
        await warm_up(engine)
        async with following(shop):
            yield
        now: AsyncEngine = shop.state.sessions.kw["bind"]
        await now.dispose()

    app = FastAPI(title="Shop", lifespan=lifespan)
    app.state.sessions = sessions_of(engine)
    for module in (items, orders, checkout, payments, reports, config, search, invoices, export, catalog):
        app.include_router(module.router)
    for module in (api, prices, health, faults):
        app.include_router(module.router)
    for fault in FAULTS.values():
        if fault.router is not None:
            app.include_router(fault.router)
    app.state.admin = create_admin(app.state.sessions)
    app.mount("/admin", app.state.admin)
    return instrument(app, service="shop", slow_query_ms=50, slo=TARGETS)


app = create_app()
