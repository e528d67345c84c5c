"""`error-burst`: what the payment gateway raises is caught by nobody."""

from __future__ import annotations

import random

from demo_app.faults.fault import Fault, Often
from demo_app.goods import ORDERS
from demo_app.visits import Visit

FAILS_ONE_IN = 53
"""About 2 % of orders are paid by a card that the gateway can't cope with."""


def _pay_badly(rng: random.Random) -> Visit:
    return Visit("POST", "/pay", {"order_id": FAILS_ONE_IN * rng.randint(1, ORDERS // FAILS_ONE_IN)})


FAULT = Fault(
    kind="error-burst",
    subject=r"^POST /pay$",
    route="POST /pay",
    shows="payments end in a 500 from an unhandled exception: about 2 % of them, more while cards fail",
    look="routers/payments.py charge",
    mend="catch the gateway's exception and tell the customer: 409",
    near="as many cards that fail, each answered with a 409",
    visits=(Often(1.0, _pay_badly),),
)
