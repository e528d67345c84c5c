"""A service to call, and what the agent has seen of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp  # noqa: F401 - a probe attaches to what is imported
import httpx  # noqa: F401
import httpx2  # noqa: F401
import pytest
import urllib3  # noqa: F401

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.aiohttp import AiohttpProbe
from perftui_agent.probes.http_client.httpx import HttpxProbe
from perftui_agent.probes.http_client.httpx2 import httpx2_probe
from perftui_agent.probes.http_client.urllib3 import Urllib3Probe
from perftui_agent.probes.probe import ON, Probe
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.window.window import Window
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import UpstreamFrame
from tests.support.other_service import OtherService, other_service
from tests.support.requests import begin, end


class Watched:
    """The window, the guard, and the frame they come to."""

    def __init__(self) -> None:
        self.window, self.guard = Window(), Guard()
        self.window.take()
        self.window.open = True
        self.probes: list[Probe] = [
            HttpxProbe(self.window, self.guard),
            httpx2_probe(self.window, self.guard),
            AiohttpProbe(self.window, self.guard),
            Urllib3Probe(self.window, self.guard),
        ]
        self.seq = 0

    @contextmanager
    def request(self, route: str = "GET /") -> Iterator[RequestRecord]:
        """Be in a request."""
        record = begin(self.window)
        token = current_request.set(record)
        try:
            yield record
        finally:
            current_request.reset(token)
            end(record, route)

    def frame(self) -> Frame:
        """Close a second."""
        self.window.fold_pending()
        self.seq += 1
        frame = self.window.close(seq=self.seq, ended_at_ns=self.seq * 10**9, span_ns=10**9)
        for probe in self.probes:
            probe.fill(frame)
        assert not self.guard.faults
        return frame

    def row(self, method: str = "GET") -> UpstreamFrame:
        """Close a second, and return what it says of a method."""
        (row,) = [each for each in self.frame().upstreams if each.method == method]
        return row


@pytest.fixture
def watched() -> Iterator[Watched]:
    """Watch all libraries."""
    watched = Watched()
    assert [probe.attach() for probe in watched.probes] == [ON] * 4
    try:
        yield watched
    finally:
        for probe in watched.probes:
            probe.detach()


@pytest.fixture
def there() -> Iterator[OtherService]:
    """Run another service."""
    with other_service() as service:
        yield service
