"""Has each worker follow what is switched on while it runs, and do what a fault takes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI

from demo_app.faults.registry import FAULTS
from demo_app.faults.switches import SWITCHES, Modes

_log = logging.getLogger("uvicorn.error")


@contextlib.asynccontextmanager
async def following(app: FastAPI) -> AsyncIterator[None]:
    """Follow for as long as the app serves."""
    task = asyncio.create_task(_follow(app))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        outliving = {kind: mode for kind, mode in SWITCHES.modes.items() if FAULTS[kind].outlives_worker}
        await _switch(app, outliving, {})


async def _follow(app: FastAPI) -> None:
    now: Modes = {}
    while True:
        before, now = now, SWITCHES.modes
        await _switch(app, before, now)
        await SWITCHES.changed()


async def _switch(app: FastAPI, before: Modes, now: Modes) -> None:
    """Tell each fault whose mode is another what it is."""
    for kind in sorted({*before, *now}):
        switched, mode = FAULTS[kind].switched, now.get(kind, "off")
        if switched is None or mode == before.get(kind, "off"):
            continue
        try:
            await switched(app, mode)
        except Exception:  # noqa: BLE001 - the other faults are switched all the same
            _log.exception("the fault %s can't be switched to %s", kind, mode)
