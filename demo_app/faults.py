"""The faults built into this shop: what each one is, how it shows, and where to look.

`SHOP_FAULTS` switches them: `all` (the default), `none`, or names separated by commas. With a fault off,
the same endpoint does the same work the way it should be done, so both can be measured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the shop."""

    name: str
    route: str
    """Where customers feel it."""
    shows: str
    """What a dashboard shows of it."""
    look: str
    """The file and function to open."""
    mend: str
    """What the healthy code does instead."""


FAULTS: tuple[Fault, ...] = (
    Fault(
        name="n-plus-one",
        route="GET /orders",
        shows="one SELECT for the page of orders, then one more for the lines of each order",
        look="routers/orders.py list_orders",
        mend="load the lines of all orders at once: selectinload(Order.lines)",
    ),
    Fault(
        name="blocking-report",
        route="GET /reports",
        shows="all requests of that worker wait while pure Python computes on the event loop",
        look="routers/reports.py build",
        mend="take the computation off the loop: run_in_threadpool, a process pool, or SQL",
    ),
    Fault(
        name="missing-index",
        route="GET /search",
        shows="each search reads all rows of search_terms",
        look="models.py SearchTerm",
        mend="CREATE INDEX ON search_terms (term)",
    ),
    Fault(
        name="large-payload",
        route="GET /catalog",
        shows="megabytes of JSON for each request, and the loop held while they are serialized",
        look="routers/catalog.py catalog",
        mend="paginate: LIMIT and a cursor",
    ),
    Fault(
        name="flaky-payment",
        route="POST /pay",
        shows="about 2 % of payments end in a 500 from an unhandled exception",
        look="routers/payments.py charge",
        mend="catch the gateway's exception and tell the customer: 409",
    ),
    Fault(
        name="small-pool",
        route="POST /checkout",
        shows="requests wait for a database connection while checkouts and exports hold the few there are",
        look="database.py make_engine, routers/checkout.py checkout",
        mend="a pool that fits the concurrency, and no connection held while others are awaited",
    ),
    Fault(
        name="small-cache",
        route="GET /items/{item_id}",
        shows="a cache of 32 items in front of 20,000: few hits, and each miss evicts",
        look="routers/items.py items_by_id",
        mend="a cache that holds the items most looked at",
    ),
)


class UnknownFaultError(ValueError):
    """`SHOP_FAULTS` names a fault that this shop doesn't have."""


def parse(text: str) -> frozenset[str]:
    """Return the names of the faults that `text`, a value of `SHOP_FAULTS`, switches on."""
    known = frozenset(fault.name for fault in FAULTS)
    if text.strip() == "all":
        return known
    names = frozenset(filter(None, (part.strip() for part in text.split(",")))) - {"none"}
    if unknown := sorted(names - known):
        raise UnknownFaultError(f"SHOP_FAULTS: no fault {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return names


ACTIVE: frozenset[str] = parse(os.environ.get("SHOP_FAULTS", "all"))


def active(name: str) -> bool:
    """Say whether the fault called `name` is switched on in this process."""
    return name in ACTIVE
