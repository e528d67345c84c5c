"""`large-payload`: the catalogue has no pages, so each partner who copies it gets all of it at once."""

from __future__ import annotations

import random

from demo_app.faults.fault import Fault, Often
from demo_app.visits import Visit


def _copy(_: random.Random) -> Visit:
    return Visit("GET", "/catalog")


FAULT = Fault(
    kind="large-payload",
    subject=r"^GET /catalog$",
    route="GET /catalog",
    shows="megabytes of JSON for each request, and the loop held while they are serialized",
    look="routers/catalog.py catalog",
    mend="paginate: LIMIT and a cursor",
    near="pages of 2,000 items, which is a quarter of a megabyte",
    visits=(Often(0.5, _copy),),
)
