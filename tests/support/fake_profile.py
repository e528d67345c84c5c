"""A profile of a worker that computes reports, lists orders, and serves something small."""

from __future__ import annotations

from collections.abc import Sequence

from perftui_agent.wire.actions import (
    Call,
    CalledFunction,
    Functions,
    Profile,
    ProfiledFrame,
    ProfiledStack,
)

SERVER = ["uvicorn/server.py:70 Server.run", "starlette/routing.py:254 Router.app"]

BUILD, MEDIANS = "shop/reports.py:42 build", "shop/reports.py:53 rolling_medians"

STACKS: Sequence[tuple[str, list[str], int]] = (
    ("GET /reports", [BUILD, MEDIANS], 480),
    ("GET /reports", [BUILD, MEDIANS, "statistics.py:11 median"], 110),
    ("GET /reports", ["shop/reports.py:44 build"], 20),
    ("GET /orders", ["shop/crud.py:88 load_lines", "sqlalchemy/orm/session.py:99 Session.execute"], 190),
    ("GET /orders", ["shop/crud.py:90 load_lines"], 30),
    ("", ["shop/refresh.py:7 refresh"], 120),
    ("GET /config", ["shop/config.py:3 config"], 3),
)
"""Route, frames below the server's, and samples of 20 ms."""


def profile_of(pid: int, *, scale: float = 1.0, part: float = 1.0) -> Profile:
    """Return the profile; `scale` the samples of reports, `part` all of them."""
    places: dict[str, int] = {}
    stacks = []
    for route, frames, number in STACKS:
        count = round(number * part * (scale if route == "GET /reports" else 1.0))
        if count:
            chain = [places.setdefault(name, len(places)) for name in [*SERVER, *frames]]
            stacks.append(ProfiledStack(chain, count * 20_000_000, count, route, "MainThread", True))
    return Profile(
        id="p",
        pid=pid,
        taken_at=0,
        took_ns=int(20e9 * part),
        engine="sampler",
        because="only it knows the requests",
        rate_hz=50.0,
        samples=sum(stack.count for stack in stacks),
        attributed=0.87,
        frames=[_frame(name) for name in places],
        stacks=stacks,
    )


def _frame(text: str) -> ProfiledFrame:
    place, function = text.split(" ")
    short, line = place.split(":")
    library = short.split("/")[0] in {"uvicorn", "starlette", "sqlalchemy"}
    folder = "/srv/" if "/" in short else "/env/lib/python3.12/"
    if library:
        folder = "/env/lib/python3.12/site-packages/"
    return ProfiledFrame(function, folder + short, int(line), short)


def called_by(pid: int, route: str, requests: int, asked: int) -> Functions:
    """Return what the requests of a route that computes call: 60 ms each, half of it waiting."""
    ms = 1_000_000 * requests
    functions = [
        CalledFunction(
            "rolling_medians",
            "/srv/shop/reports.py",
            53,
            "shop/reports.py",
            requests,
            requests,
            18 * ms,
            26 * ms,
        ),
        CalledFunction(
            "<built-in method builtins.sorted>", "~", 0, "", 40 * requests, 40 * requests, 8 * ms, 8 * ms
        ),
        CalledFunction(
            "build", "/srv/shop/reports.py", 42, "shop/reports.py", requests, requests, ms, 27 * ms
        ),
        CalledFunction(
            "save", "/srv/shop/files.py", 9, "shop/files.py", 2 * requests, 2 * requests, 3 * ms, 3 * ms
        ),
    ]
    return Functions(
        id="f",
        pid=pid,
        taken_at=0,
        took_ns=4_000_000_000,
        route=route,
        requests=requests,
        asked=asked,
        elapsed_ns=60 * ms,
        loop_ns=27 * ms,
        threads_ns=3 * ms,
        functions=functions,
        calls=[
            Call(2, 0, requests, requests, 18 * ms, 26 * ms),
            Call(0, 1, 40 * requests, 40 * requests, 8 * ms, 8 * ms),
        ],
        note="" if requests == asked else f"ended early: {requests} of {asked} requests were measured",
    )
