"""A ramp none of whose requests is answered well: it ends, and blames nothing of the service."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import cast

import pytest
import trustme

from perftui.ramp import run
from perftui.ramp.load import Load, StepTold
from perftui.ramp.run import Ramp, Ramped
from perftui.ramp.sender import Order
from perftui.ramp.unanswered import TLS, Unanswered, spoken
from tests.support.fake_feed import FakeFeed


class InVain:
    """Sends ten requests in each step, all of which end alike."""

    def __init__(self, *ends: str) -> None:
        self.ends = ends
        self.steps = 0

    async def step(self, order: Order, _: Callable[[StepTold], bool]) -> StepTold:
        """Tell of a step."""
        self.steps += 1
        failures = Counter({end: 10 // len(self.ends) for end in self.ends})
        return StepTold(order.rate, order.seconds, sent=10, errors=10, failures=failures, at_s=order.seconds)


def ramped(load: InVain, unanswered: Unanswered | None = None) -> Ramped:
    """Return how a ramp of it goes."""
    under_way = Ramp(FakeFeed(), cast(Load, load), (), step_s=0.01, longest_s=60.0, unanswered=unanswered)
    return asyncio.run(under_way.run(5.0, 100.0))


def test_it_ends_after_its_first_step_and_tells_what_came_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """However full the machine is: nothing of the service has given."""
    monkeypatch.setattr(run, "TOLD_S", 0.0)
    load = InVain("500", "ServerDisconnectedError")
    told = ramped(load)
    assert load.steps == 1
    assert told.limit.kind == "none"
    assert told.limit.sentence == "none of 10 requests was answered well: 5× 500, 5× ServerDisconnectedError"
    assert "by hand" in told.limit.advice
    assert told.ended == "no request was answered well"
    assert told.search.knee_rps is None


def test_a_port_that_speaks_tls_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked only then, and one that speaks plain HTTP is not taken for it."""
    monkeypatch.setattr(run, "TOLD_S", 0.0)
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def says(context: ssl.SSLContext | None) -> str:
        def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            return await spoken(f"http://127.0.0.1:{port}", None)

    assert asyncio.run(says(context)) == TLS
    assert not asyncio.run(says(None))

    async def tls() -> str:
        return TLS

    told = ramped(InVain("ServerDisconnectedError"), tls)
    assert told.limit.sentence.endswith("it speaks TLS, and a ramp goes over plain HTTP")
    assert "ends TLS" in told.limit.advice
