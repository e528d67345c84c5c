"""The shop's tables."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from demo_app import faults


class Base(AsyncAttrs, DeclarativeBase):
    """The base of all tables."""


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    city: Mapped[str]


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    category: Mapped[str] = mapped_column(index=True)
    brand: Mapped[str]
    price_cents: Mapped[int]
    description: Mapped[str]


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    status: Mapped[str]
    placed_on: Mapped[date] = mapped_column(index=True)
    total_cents: Mapped[int]
    lines: Mapped[list[OrderLine]] = relationship(order_by="OrderLine.id")


class OrderLine(Base):
    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), index=True)
    quantity: Mapped[int]
    price_cents: Mapped[int]


class SearchTerm(Base):
    """A word by which an item can be found."""

    __tablename__ = "search_terms"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    # SQLite takes an index for LIKE only if the column compares without regard to case.
    term: Mapped[str] = mapped_column(String().with_variant(String(collation="NOCASE"), "sqlite"))


TERM_INDEX_NAME = "ix_search_terms_term"

if not faults.active("missing-index"):
    Index(TERM_INDEX_NAME, SearchTerm.term, postgresql_ops={"term": "text_pattern_ops"})
