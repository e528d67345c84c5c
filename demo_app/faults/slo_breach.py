"""`slo-breach`: the bank takes its time, and a checkout more than was promised."""

from __future__ import annotations

from demo_app.faults.fault import Fault, Often
from demo_app.visits import checkout

FAULT = Fault(
    kind="slo-breach",
    subject=r"^POST /checkout$",
    route="POST /checkout",
    shows="a checkout takes two seconds, and 1.2 s are promised",
    look="routers/checkout.py ask_bank",
    mend="answer once the order is placed, and authorize the amount in the background",
    near="a bank that takes half of what is left for it",
    visits=(Often(2.0, checkout),),
)
