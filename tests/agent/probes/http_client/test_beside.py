"""The probes beside others' instruments, and under many hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import httpx
import requests
import urllib3
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.exchanges import MAX_ROWS, MAX_UPSTREAMS, Exchanges
from tests.agent.probes.http_client.conftest import Watched
from tests.support.other_service import OtherService

INSTRUMENTORS = (
    HTTPXClientInstrumentor,
    AioHttpClientInstrumentor,
    RequestsInstrumentor,
    URLLib3Instrumentor,
)

BY_LIBRARY = {"httpx": 2, "aiohttp": 1, "urllib3": 2}
"""How many calls `ask_by_all` makes."""


@contextmanager
def opentelemetry() -> Iterator[InMemorySpanExporter]:
    """Have OpenTelemetry watch all of these libraries."""
    told = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(told))
    theirs = [instrumentor() for instrumentor in INSTRUMENTORS]
    for each in theirs:
        each.instrument(tracer_provider=provider)
    try:
        yield told
    finally:
        for each in theirs:
            each.uninstrument()


async def ask_by_all(url: str) -> None:
    """Ask once with each library."""
    with httpx.Client() as client:
        client.get(url)  # noqa: ASYNC212 - the one that blocks is meant
    async with httpx.AsyncClient() as async_client:
        await async_client.get(url)
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        await response.read()
    with requests.Session() as sync_session:
        sync_session.get(url, timeout=5)
    with urllib3.PoolManager() as pools:
        pools.request("GET", url)


def calls(watched: Watched) -> dict[str, int]:
    """Return how many calls were seen, by library."""
    return {row.library: row.latency.count for row in watched.frame().upstreams}


def test_beside_opentelemetry_that_came_later_each_call_counts_once(
    watched: Watched, there: OtherService
) -> None:
    """Both see all of them, and when it goes ours still do."""
    with opentelemetry() as told:
        asyncio.run(ask_by_all(f"{there.url}/here"))
    # One of requests is two to OpenTelemetry, which watches both.
    assert len(told.get_finished_spans()) >= 5
    assert calls(watched) == BY_LIBRARY
    asyncio.run(ask_by_all(f"{there.url}/here"))
    assert calls(watched) == BY_LIBRARY
    assert len(there.wait_for(10)) == 10


def test_beside_opentelemetry_that_was_first_each_call_counts_once(
    watched: Watched, there: OtherService
) -> None:
    """As before; and ours go without taking its wrappers along."""
    for probe in watched.probes:
        probe.detach()
    with opentelemetry() as told:
        for probe in watched.probes:
            probe.attach()
        asyncio.run(ask_by_all(f"{there.url}/here"))
        assert calls(watched) == BY_LIBRARY
        for probe in watched.probes:
            probe.detach()
        before = len(told.get_finished_spans())
        asyncio.run(ask_by_all(f"{there.url}/here"))
        assert len(told.get_finished_spans()) == 2 * before
    assert calls(watched) == {}


class _Sink:
    open = True

    def put(self, record: Any) -> None:
        """Keep nothing."""


def test_thousands_of_hosts_take_no_more_room_than_some(watched: Watched) -> None:
    """What is remembered of hosts, and what a frame says of calls under way, is bounded, and none is lost."""
    exchanges = Exchanges("httpx", _Sink(), Guard(), lambda _client, _hosts: None)
    exchanges.attach()
    under_way = [exchanges.begin((f"host-{n}.example", "GET", None, "http"), "/") for n in range(5_000)]
    frame = watched.frame()
    exchanges.fill(frame)

    assert all(record is not None for record in under_way)
    assert len(exchanges._upstreams) <= MAX_UPSTREAMS
    assert len(frame.upstreams) == MAX_ROWS + 1
    assert sum(row.under_way for row in frame.upstreams) == 5_000


def test_calls_of_thousands_of_hosts_are_all_counted(watched: Watched) -> None:
    """The costliest by name, the others together."""
    probe = watched.probes[0]
    exchanges: Exchanges = probe._exchanges  # type: ignore[attr-defined]
    with watched.request():
        for n in range(5_000):
            record = exchanges.begin((f"host-{n}.example", "GET", None, "http"), "/")
            assert record is not None
            exchanges.answered(record, 200, lambda _: None, None)
            exchanges.over(record)
    frame = watched.frame()

    assert sum(row.latency.count for row in frame.upstreams) == 5_000
    assert len(frame.upstreams) <= MAX_ROWS + 1
