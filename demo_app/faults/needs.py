"""What a fault can't be without, and whether it is here."""

from __future__ import annotations

import os

from demo_app import postgres
from demo_app.database import database_url
from demo_app.faults import quota
from demo_app.faults.fault import Need
from demo_app.faults.registry import FAULTS
from demo_app.faults.switches import Modes


def missing(modes: Modes) -> str:
    """Return, in a sentence, why one of the faults can't be had in this process; empty if all can."""
    for kind in modes:
        for need in sorted(FAULTS[kind].needs):
            if reason := _why_not(need):
                return f"{kind} can't be had here: {reason}"
    return ""


def wants_postgresql(modes: Modes) -> bool:
    """Say whether one of them is about what only a server has."""
    return any("postgresql" in FAULTS[kind].needs for kind in modes)


def _why_not(need: Need) -> str:
    match need:
        case "postgresql":
            return (
                "" if database_url().startswith("postgresql") else "the shop is on SQLite; " + FROM_THE_START
            )
        case "workers":
            return "" if int(os.environ.get("SHOP_WORKERS", "1")) > 1 else "it takes two workers: --workers 2"
        case "quota":
            return quota.why_not()
        case "upstreams":
            return (
                "" if os.environ.get("SHOP_UPSTREAMS") else "nobody serves what the shop calls: perftui demo"
            )


FROM_THE_START = "start it with this fault, and it is on PostgreSQL: perftui demo --fault …"


def refused(modes: Modes, workers: int) -> str:
    """Return why a demo can't be started with these; empty if it can."""
    for kind in modes:
        needs = FAULTS[kind].needs
        reason = ""
        if "workers" in needs and workers < 2:
            reason = "it takes two workers: --workers 2"
        elif "postgresql" in needs and not database_url().startswith("postgresql"):
            reason = postgres.why_not()
        elif "quota" in needs:
            reason = quota.why_not()
        if reason:
            return f"{kind} can't be had here: {reason}"
    return ""
