"""What the shop's endpoints take and return."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field


class _Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ItemOut(_Row):
    id: int
    sku: str
    name: str
    category: str
    brand: str
    price_cents: int


class ItemDetail(ItemOut):
    description: str


class OrderLineOut(_Row):
    item_id: int
    quantity: int
    price_cents: int


class OrderOut(_Row):
    id: int
    customer_id: int
    status: str
    placed_on: date
    total_cents: int
    lines: list[OrderLineOut]


class CartLine(BaseModel):
    item_id: int
    quantity: int = Field(ge=1, le=100)


class Cart(BaseModel):
    customer_id: int
    lines: list[CartLine] = Field(min_length=1, max_length=20)


class Placed(BaseModel):
    order_id: int
    total_cents: int


class Payment(BaseModel):
    order_id: int


class Receipt(BaseModel):
    order_id: int
    approved: bool


class CategorySales(BaseModel):
    category: str
    lines: int
    revenue_cents: int
    typical_line_cents: int


class DayStats(BaseModel):
    day: date
    orders: int
    revenue_cents: int
