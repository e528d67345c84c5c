"""`pool-exhausted`: four connections, and checkouts that hold one while the bank is asked."""

from __future__ import annotations

from fastapi import FastAPI

from demo_app.database import POOL_SIZE, SMALL_POOL_SIZE, database_url, make_engine, sessions_of
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode
from demo_app.visits import checkout


async def _switched(app: FastAPI, now: Mode) -> None:
    """Have a pool of another size, as a deploy with other settings would; requests keep what they have."""
    wanted = SMALL_POOL_SIZE if now == "on" else POOL_SIZE
    before = app.state.sessions.kw["bind"]
    if before.pool.size() != wanted:
        app.state.sessions = app.state.admin.state.sessions = sessions_of(make_engine(database_url(), wanted))
        await before.dispose()


FAULT = Fault(
    kind="pool-exhausted",
    subject=r"shop|postgres",
    route="POST /checkout",
    shows="requests wait for a database connection while checkouts and exports hold the few there are",
    look="database.py make_engine, routers/checkout.py checkout",
    mend="a pool that fits the concurrency, and no connection held while others are awaited",
    near="checkouts that hold a connection while the bank is asked, of a pool that has enough",
    switched=_switched,
    visits=(Often(6.0, checkout),),
)
