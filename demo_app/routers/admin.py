"""The back office: an application of its own, mounted below `/admin`."""

from __future__ import annotations

from datetime import date

from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from demo_app.database import Session
from demo_app.models import Order
from demo_app.schemas import DayStats


def create_admin(sessions: async_sessionmaker[AsyncSession]) -> FastAPI:
    """Return the back office on the shop's database."""
    admin = FastAPI(title="Shop back office")
    admin.state.sessions = sessions
    admin.get("/stats/{day}")(stats)
    return admin


async def stats(day: date, session: Session) -> DayStats:
    """Return orders and revenue of one day."""
    query = select(func.count(), func.coalesce(func.sum(Order.total_cents), 0)).where(Order.placed_on == day)
    orders, revenue = (await session.execute(query)).one()
    return DayStats(day=day, orders=orders, revenue_cents=revenue)
