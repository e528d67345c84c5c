"""The shop's data, invented: the same rows on every machine and in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

CUSTOMERS = 2_000
ITEMS = 20_000
ORDERS = 30_000
WORDS_PER_ITEM = 25
FIRST_DAY = date(2025, 1, 1)
LAST_DAY = date(2025, 12, 31)

NOUNS = {
    "lighting": ["lamp", "lantern", "chandelier", "sconce"],
    "seating": ["chair", "stool", "bench", "armchair", "sofa"],
    "tables": ["table", "desk", "sideboard", "trolley"],
    "storage": ["shelf", "cabinet", "basket", "wardrobe", "chest"],
    "kitchen": ["kettle", "pan", "teapot", "bowl", "jug", "grater"],
    "textiles": ["rug", "blanket", "cushion", "curtain", "towel"],
    "garden": ["planter", "hammock", "trellis", "parasol"],
    "decor": ["mirror", "vase", "clock", "candle", "frame"],
}
MATERIALS = ["oak", "walnut", "beech", "steel", "brass", "linen", "wool", "glass", "marble", "cork", "bamboo"]
LOOKS = ["slim", "round", "tall", "folding", "woven", "striped", "plain", "curved", "compact", "vintage"]
BRANDS = ["Alder", "Borealis", "Castell", "Dovetail", "Eiko", "Fjord", "Grove", "Harbour", "Isla", "Juniper"]
WORDS = [
    *("durable", "soft", "bright", "quiet", "gift", "handmade", "recycled", "washable", "stackable"),
    *("hallway", "bedroom", "office", "balcony", "nursery", "classic", "nordic", "rustic", "winter"),
    *("summer", "travel", "premium", "budget", "bestseller", "limited", "large", "small", "children"),
    *("outdoor", "kitchen", "guest", "modern", "light", "heavy", "natural", "painted", "varnished"),
    *("portable", "adjustable", "waterproof", "organic", "local", "fair", "cosy", "elegant", "simple"),
]
FIRST_NAMES = ["Ada", "Bram", "Chloe", "Dario", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaya"]
LAST_NAMES = ["Abel", "Bosch", "Costa", "Dahl", "Eriksen", "Fischer", "Garcia", "Hansen", "Ito", "Jansen"]
CITIES = ["Aarhus", "Bologna", "Cork", "Dresden", "Eindhoven", "Freiburg", "Ghent", "Helsinki", "Izmir"]
STATUSES = ["placed", "paid", "packed", "shipped", "delivered"]

Row = tuple[int | str | date, ...]
"""The values of one row, in the order of the table's columns."""


@dataclass(slots=True)
class Goods:
    """The rows of all tables."""

    customers: list[Row] = field(default_factory=list)
    items: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    order_lines: list[Row] = field(default_factory=list)
    search_terms: list[Row] = field(default_factory=list)

    def tables(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield each table's name with its rows, those referred to first."""
        yield "customers", self.customers
        yield "items", self.items
        yield "orders", self.orders
        yield "order_lines", self.order_lines
        yield "search_terms", self.search_terms


def invent() -> Goods:
    """Return the same 20,000 items, 2,000 customers, 30,000 orders, 90,000 lines and 600,000 terms."""
    rng = random.Random("perftui shop")
    goods = Goods()
    for number in range(1, CUSTOMERS + 1):
        name = f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"
        email = f"{name.lower().replace(' ', '.')}.{number}@example.com"
        goods.customers.append((number, name, email, rng.choice(CITIES)))
    prices = [0, *(_add_item(goods, rng, number) for number in range(1, ITEMS + 1))]
    for number in range(1, ORDERS + 1):
        _add_order(goods, rng, number, prices)
    return goods


def _add_item(goods: Goods, rng: random.Random, number: int) -> int:
    """Add one item and the words it is found by; return its price."""
    category = rng.choice(list(NOUNS))
    noun, material, look = rng.choice(NOUNS[category]), rng.choice(MATERIALS), rng.choice(LOOKS)
    brand = rng.choice(BRANDS)
    words = rng.sample(WORDS, WORDS_PER_ITEM)
    price = rng.randrange(490, 49_990, 10)
    name = f"{look.capitalize()} {material} {noun}"
    description = f"{name} by {brand}: {', '.join(words[:8])}."
    goods.items.append((number, f"SKU-{number:06}", name, category, brand, price, description))
    for term in (noun, material, look, brand.lower(), category, *words):
        goods.search_terms.append((len(goods.search_terms) + 1, number, term))
    return price


def _add_order(goods: Goods, rng: random.Random, number: int, prices: list[int]) -> None:
    """Add one order of one to five lines, three on average; later orders have later days."""
    days = (LAST_DAY - FIRST_DAY).days
    placed_on = FIRST_DAY + timedelta(days=(number - 1) * (days + 1) // ORDERS)
    total = 0
    for _ in range(rng.randint(1, 5)):
        # Squared, so that some items sell far better than others.
        item_id = 1 + int(rng.random() ** 2 * ITEMS)
        quantity = rng.randint(1, 3)
        total += quantity * prices[item_id]
        goods.order_lines.append((len(goods.order_lines) + 1, number, item_id, quantity, prices[item_id]))
    customer_id = 1 + int(rng.random() ** 2 * CUSTOMERS)
    goods.orders.append((number, customer_id, rng.choice(STATUSES), placed_on, total))
