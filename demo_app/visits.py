"""What customers, partners and analysts ask of the shop, and how often."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from demo_app.goods import CUSTOMERS, FIRST_DAY, ITEMS, LAST_DAY, LOOKS, MATERIALS, NOUNS, ORDERS, WORDS

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to send."""

    method: str
    path: str
    json: Json | None = None


def pick(rng: random.Random) -> Visit:
    """Return the next request."""
    return rng.choices(_MAKERS, _WEIGHTS)[0](rng)


def browse(rng: random.Random) -> Visit:
    category = f"&category={rng.choice(list(NOUNS))}" if rng.random() < 0.4 else ""
    return Visit("GET", f"/items?after={rng.randrange(0, 2_000, 25)}{category}")


def _look(rng: random.Random) -> Visit:
    return Visit("GET", f"/items/{_popular(rng, ITEMS)}")


def _look_in_app(rng: random.Random) -> Visit:
    return Visit("GET", f"/api/v1/items/{_popular(rng, ITEMS)}")


def search(rng: random.Random) -> Visit:
    noun = rng.choice(rng.choice(list(NOUNS.values())))
    words = [rng.choice(LOOKS), rng.choice(MATERIALS), noun, rng.choice(WORDS)]
    return Visit("GET", f"/search?q={'+'.join(words[: rng.randint(3, 4)])}")


def _orders(rng: random.Random) -> Visit:
    return Visit(
        "GET", f"/orders?before={rng.randrange(1_000, ORDERS, 50)}" if rng.random() < 0.5 else "/orders"
    )


def _order(rng: random.Random) -> Visit:
    return Visit("GET", f"/orders/{rng.randint(1, ORDERS)}")


def _invoice(rng: random.Random) -> Visit:
    return Visit("GET", f"/invoices/{rng.randint(1, ORDERS)}")


def checkout(rng: random.Random) -> Visit:
    items = {_popular(rng, ITEMS) for _ in range(rng.randint(1, 4))}
    lines = [{"item_id": item_id, "quantity": rng.randint(1, 3)} for item_id in sorted(items)]
    return Visit("POST", "/checkout", {"customer_id": rng.randint(1, CUSTOMERS), "lines": lines})


def _pay(rng: random.Random) -> Visit:
    return Visit("POST", "/pay", {"order_id": rng.randint(1, ORDERS)})


def _config(rng: random.Random) -> Visit:
    return Visit("GET", f"/config?section={rng.choice(['shop', 'checkout', 'search', 'banner'])}")


def _stats(rng: random.Random) -> Visit:
    days = (LAST_DAY - FIRST_DAY).days
    return Visit("GET", f"/admin/stats/{FIRST_DAY + timedelta(days=rng.randint(0, days))}")


def _mistyped(rng: random.Random) -> Visit:
    return Visit(
        "GET", rng.choice(["/favicon.ico", "/wp-login.php", f"/items/{ITEMS + rng.randint(1, 999)}"])
    )


def _popular(rng: random.Random, count: int) -> int:
    """Return an id from 1 to `count`; a twentieth of them gets most of the looks."""
    return 1 + int(rng.random() ** 6 * count)


def _fixed(path: str) -> Callable[[random.Random], Visit]:
    return lambda _: Visit("GET", path)


MIX: tuple[tuple[float, Callable[[random.Random], Visit]], ...] = (
    (25, _look),
    (19, browse),
    (12, _look_in_app),
    (9, _config),
    (7, search),
    (6, checkout),
    (5, _orders),
    (5, _order),
    (6, _pay),
    (2, _invoice),
    (1.5, _stats),
    (1, _fixed("/reports")),
    (0.5, _fixed("/catalog")),
    (0.5, _fixed("/healthz")),
    (0.5, _mistyped),
)
"""How many of a hundred requests are of which kind."""

_WEIGHTS = [weight for weight, _ in MIX]
_MAKERS = [make for _, make in MIX]
