"""`loop-blocked`: a report is computed on the event loop, and all other requests of that worker wait."""

from __future__ import annotations

import random

from demo_app.faults.fault import Fault, Often
from demo_app.faults.switches import mode
from demo_app.visits import Visit


def _report(_: random.Random) -> Visit:
    return Visit("GET", "/reports?lines=1000" if mode("loop-blocked") == "near" else "/reports")


FAULT = Fault(
    kind="loop-blocked",
    subject=r"demo_app/routers/reports\.py:\d+ \w+",
    route="GET /reports",
    shows="all requests of that worker wait while pure Python computes on the event loop",
    look="routers/reports.py build",
    mend="take the computation off the loop: run_in_threadpool, a process pool, or SQL",
    near="short reports on the loop, each of some milliseconds",
    visits=(Often(0.6, _report),),
)
