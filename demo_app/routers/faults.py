"""The door to the shop's faults: which are on, and to switch them while it runs."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request

from demo_app.faults.needs import missing
from demo_app.faults.registry import FAULTS
from demo_app.faults.switches import SWITCHES, UnknownFaultError, parse, written

router = APIRouter(prefix="/faults", tags=["faults"])


@router.get("")
async def faults() -> dict[str, dict[str, str]]:
    """Return what is on, and what the finding about it must name."""
    return {
        kind: {"mode": now, "subject": FAULTS[kind].subject, "route": FAULTS[kind].route}
        for kind, now in SWITCHES.modes.items()
    }


@router.put("")
async def switch(request: Request) -> dict[str, str]:
    """Switch on what the body names, `n-plus-one,near:db-lock` or `none`, and all else off."""
    try:
        modes = parse((await request.body()).decode(errors="replace"))
        if reason := missing(modes):
            raise HTTPException(409, reason)
        SWITCHES.write(modes)
    except UnknownFaultError as error:
        raise HTTPException(404, str(error)) from error
    except (OSError, ValueError) as error:
        raise HTTPException(409, str(error)) from error
    return {"faults": written(modes)}
