"""Where somebody else measures, the app's own profiler is left alone."""

from __future__ import annotations

import asyncio
import cProfile
import sys

from fastapi import FastAPI

from perftui_agent.wire.actions import Functions, FunctionsRequest
from perftui_agent.wire.dumps import Refusal
from tests.agent.inspect.functions.measuring import (
    Client,
    cheap,
    dear,
    each_meter,
    measure,
    measured,
    named,
    shop,
    times,
)
from tests.support.timed import timed


def called_in(profile: cProfile.Profile) -> dict[str, int]:
    """Return how often each function was called while a profiler was on."""
    return {getattr(entry.code, "co_name", ""): entry.callcount for entry in profile.getstats()}


def test_the_apps_own_profiler_is_left_alone() -> None:
    """One that is on already is a reason not to begin, and stays on."""
    own = cProfile.Profile()

    async def work(_: Client) -> None:
        cheap()

    async def profiled() -> tuple[Functions | Refusal, None]:
        own.enable()
        try:
            with timed(shop()) as service:
                return await measured(
                    Client(service.app), work, FunctionsRequest(id="f", route="GET /x"), None, None
                )
        finally:
            own.disable()

    refusal, _ = asyncio.run(profiled())
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("another profiler is on in this worker (cProfile")
    assert called_in(own)["cheap"] == 1


@each_meter
def test_a_profiler_of_the_endpoints_own_goes_on() -> None:
    """An endpoint that profiles itself gets its profile, and the other one ends with a sentence."""
    profiles: list[cProfile.Profile] = []
    app = FastAPI()

    @app.get("/x")
    async def x() -> str:
        own = cProfile.Profile()
        profiles.append(own)
        own.enable()
        dear()
        own.disable()
        return "x"

    answer, _ = measure(app, times(2), requests=2)
    for own in profiles:
        assert called_in(own)["dear"] == called_in(own)["spin"] == 1
    if sys.version_info >= (3, 12):  # they are in each other's way no more
        assert named(answer)["dear"].calls == 2
    else:
        assert isinstance(answer, Refusal)
        assert "one that was switched on meanwhile" in answer.reason
