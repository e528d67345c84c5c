"""`missing-index`: nothing leads from a search term to its rows, so each search reads all of them."""

from __future__ import annotations

import contextlib
import random

from fastapi import APIRouter, FastAPI
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from demo_app.database import Session
from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import Mode, mode
from demo_app.goods import CITIES
from demo_app.models import TERM_INDEX_NAME, Customer
from demo_app.visits import Visit, search

router = APIRouter(tags=["customers"])

INDEXED = {"sqlite": "term", "postgresql": "term text_pattern_ops"}


@router.get("/customers")
async def customers(city: str, session: Session) -> list[str]:
    """Return who lives in a city; no index leads there, and the few thousand rows are read in no time."""
    query = select(Customer.name).where(Customer.city == city).order_by(Customer.id).limit(20)
    return list(await session.scalars(query))


async def _switched(app: FastAPI, now: Mode) -> None:
    """Drop the index as a migration would, or make it again; each worker says so, and one does it."""
    engine: AsyncEngine = app.state.sessions.kw["bind"]
    columns = INDEXED[engine.dialect.name]
    # Two workers at once: one of them finds it done, or being done.
    with contextlib.suppress(DBAPIError):
        async with engine.begin() as connection:
            if now == "on":
                await connection.execute(text(f"DROP INDEX IF EXISTS {TERM_INDEX_NAME}"))
            else:
                made = f"CREATE INDEX IF NOT EXISTS {TERM_INDEX_NAME} ON search_terms ({columns})"
                await connection.execute(text(made))


def _ask(rng: random.Random) -> Visit:
    if mode("missing-index") == "near":
        return Visit("GET", f"/customers?city={rng.choice(CITIES)}")
    return search(rng)


FAULT = Fault(
    kind="missing-index",
    subject=r"search_terms.*\bterm\b",
    route="GET /search",
    shows="each search reads all rows of search_terms",
    look="models.py SearchTerm",
    mend="CREATE INDEX ON search_terms (term)",
    near="a small table that is read whole, quickly",
    router=router,
    switched=_switched,
    visits=(Often(0.4, _ask),),
)
