"""What a call runs through of ours: that is what it costs, whatever the machine does meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

import aiohttp
import httpx
import pytest
import urllib3

from perftui_agent.probes.http_client import exchanges
from tests.agent.probes.http_client.conftest import Watched
from tests.support.other_service import OtherService

CALLS = 10

Ask = Callable[[str, int], Coroutine[Any, Any, None]]


async def by_httpx(url: str, times: int) -> None:
    """Ask with httpx, in a thread."""
    with httpx.Client() as client:
        for _ in range(times):
            client.get(url)  # noqa: ASYNC212 - the one that blocks is meant


async def by_async_httpx(url: str, times: int) -> None:
    """Ask with httpx, on a loop."""
    async with httpx.AsyncClient() as client:
        for _ in range(times):
            await client.get(url)


async def by_aiohttp(url: str, times: int) -> None:
    """Ask with aiohttp."""
    async with aiohttp.ClientSession() as session:
        for _ in range(times):
            async with session.get(url) as response:
                await response.read()


async def by_urllib3(url: str, times: int) -> None:
    """Ask with urllib3."""
    with urllib3.PoolManager() as pools:
        for _ in range(times):
            pools.request("GET", url)


@pytest.mark.parametrize(
    ("ask", "at_most"),
    [(by_httpx, 15), (by_async_httpx, 20), (by_aiohttp, 18), (by_urllib3, 12)],
    ids=["httpx", "httpx async", "aiohttp", "urllib3"],
)
def test_a_call_runs_through_few_functions_of_ours(
    watched: Watched, there: OtherService, ask: Ask, at_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns of a coroutine or generator included; of an answer that is not late, however busy the machine."""
    monkeypatch.setattr(exchanges, "_LEAST_NS", sys.maxsize)

    def functions(times: int) -> int:
        entered = 0

        def count(frame: FrameType, event: str, _arg: Any) -> None:
            nonlocal entered
            entered += event == "call" and "perftui_agent" in frame.f_code.co_filename

        with watched.request():
            sys.setprofile(count)
            try:
                asyncio.run(ask(f"{there.url}/here", times))
            finally:
                sys.setprofile(None)
        return entered

    functions(1)
    few, many = functions(2), functions(2 + CALLS)

    assert (many - few) / CALLS <= at_most
