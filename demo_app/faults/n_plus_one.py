"""`n-plus-one`: the lines of a page of orders are loaded order by order."""

from __future__ import annotations

import random

from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import mode
from demo_app.goods import ORDERS
from demo_app.visits import Visit


def _page(rng: random.Random) -> Visit:
    limit = 3 if mode("n-plus-one") == "near" else 50
    return Visit("GET", f"/orders?before={rng.randrange(1_000, ORDERS, 50)}&limit={limit}")


FAULT = Fault(
    kind="n-plus-one",
    subject=r"^GET /orders$",
    route="GET /orders",
    shows="one SELECT for the page of orders, then one more for the lines of each order",
    look="routers/orders.py list_orders",
    mend="load the lines of all orders at once: selectinload(Order.lines)",
    near="pages of three orders, each with a look-up of its lines",
    visits=(Often(1.0, _page),),
)
