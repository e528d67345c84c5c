"""Profiles of real servers: each planted function under its own route, by each engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.flow.test_functions import SHOP, Mixed
from tests.support.servers import Loop, Server, Service, running, write_app

PLANTED = {
    "GET /report": "hash_for_report",
    "GET /orders/{number}": "hash_for_orders",
    "GET /config": "hash_for_config",
}

LEAST = 0.8
"""Of a route's samples, those that are in its planted function."""


def stacks(service: Service, *arguments: str) -> list[dict[str, Any]]:
    """Return the stacks of a profile that must succeed."""
    result = service.perftui("profile", service.target, "--for", "4s", "--mode", "cpu", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    seen: list[dict[str, Any]] = json.loads(result.stdout)["stacks"]
    return seen


def samples_in(seen: list[dict[str, Any]], function: str) -> int:
    """Return how many samples are in a function, or in what it calls."""
    return sum(
        each["samples"] for each in seen if any(place.split()[-1] == function for place in each["stack"])
    )


@pytest.mark.parametrize(("server", "loop"), [("uvicorn", "asyncio"), ("gunicorn", "uvloop")])
def test_each_planted_function_is_under_its_own_route_and_no_other(
    tmp_path: Path, server: Server, loop: Loop
) -> None:
    """By the agent's sampler and under mixed load, and by py-spy in the endpoint that calls it."""
    app = write_app(tmp_path, SHOP)
    with running(app, server=server, loop=loop, workers=1) as service, Mixed(service):
        service.wait_registered()
        by_route = stacks(service, "--by-route")
        for route, planted in PLANTED.items():
            of_route = [each for each in by_route if each["route"] == route]
            number = sum(each["samples"] for each in of_route)
            assert number >= 20, route
            assert samples_in(of_route, planted) >= LEAST * number, route
            for other in PLANTED.values():
                assert other == planted or samples_in(of_route, other) == 0, (route, other)

        from_outside = stacks(service, "--engine", "py-spy")
        for route, planted in PLANTED.items():
            endpoint = route.split("/")[1].partition("/")[0]
            within = [
                each for each in from_outside if any(place.split()[-1] == endpoint for place in each["stack"])
            ]
            number = sum(each["samples"] for each in within)
            assert number >= 20, route
            assert samples_in(within, planted) >= LEAST * number, route
            assert not any(samples_in(within, other) for other in PLANTED.values() if other != planted)
