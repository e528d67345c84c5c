"""Calls with something between them and the service: TLS, HTTP/2, a proxy."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import httpx
import hypercorn.asyncio
import hypercorn.config
import pytest
import requests
import trustme
import urllib3

from tests.agent.probes.http_client.conftest import Watched
from tests.support.other_service import OtherService
from tests.support.servers import free_port, wait_until


class Secured(NamedTuple):
    """A service behind TLS that speaks HTTP/2 with whoever can."""

    url: str
    authority: str
    """A file with the certificate that vouches for it."""

    @property
    def context(self) -> ssl.SSLContext:
        """Trust it."""
        return ssl.create_default_context(cafile=self.authority)


async def _here(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"here"})


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Run one, on a loop of its own."""
    directory: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate.private_key_and_cert_chain_pem.write_to_path(directory / "server.pem")
    config = hypercorn.config.Config()
    port = free_port()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile = config.keyfile = str(directory / "server.pem")
    config.errorlog = None
    started, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async def until_done() -> None:
            started.set()
            await asyncio.to_thread(done.wait)

        app: Any = _here
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=until_done, mode="asgi")

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    wait_until(started.is_set, "hypercorn to start")
    yield Secured(f"https://127.0.0.1:{port}", str(directory / "ca.pem"))
    done.set()
    thread.join(10.0)


async def by_httpx(secured: Secured) -> None:
    """Ask twice with httpx."""
    async with httpx.AsyncClient(verify=secured.context) as client:
        for _ in range(2):
            assert (await client.get(f"{secured.url}/here")).text == "here"


async def by_aiohttp(secured: Secured) -> None:
    """Ask twice with aiohttp."""
    context = secured.context
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(f"{secured.url}/here", ssl=context) as response:
                assert await response.text() == "here"


async def by_requests(secured: Secured) -> None:
    """Ask twice with requests, which is urllib3."""
    with requests.Session() as session:
        for _ in range(2):
            assert session.get(f"{secured.url}/here", verify=secured.authority, timeout=5).text == "here"


@pytest.mark.parametrize("ask", [by_httpx, by_aiohttp, by_requests], ids=["httpx", "aiohttp", "requests"])
def test_of_opening_a_connection_tls_is_told_apart(watched: Watched, secured: Secured, ask: Any) -> None:
    """It is part of connecting, most of it on one machine, and done once for both calls."""
    with watched.request():
        asyncio.run(ask(secured))
    row = watched.row()

    assert (row.latency.count, row.errors, row.opened, row.received_bytes) == (2, 0, 1, 8)
    assert row.connect is not None
    assert 0 < row.tls_ns <= row.connect.total
    assert row.host == secured.url.removeprefix("https://")


def test_over_http2_each_stream_is_a_call(watched: Watched, secured: Secured) -> None:
    """Calls that share a connection are told one by one; it was opened once."""

    async def main() -> set[str]:
        async with httpx.AsyncClient(verify=secured.context, http2=True) as client:
            await client.get(f"{secured.url}/here")
            answers = await asyncio.gather(*[client.get(f"{secured.url}/here") for _ in range(8)])
            return {answer.http_version for answer in answers}

    with watched.request():
        assert asyncio.run(main()) == {"HTTP/2"}
    row = watched.row()

    assert (row.latency.count, row.errors, row.opened, row.received_bytes) == (9, 0, 1, 36)


def test_through_a_proxy_the_host_is_the_one_that_was_asked(watched: Watched, there: OtherService) -> None:
    """Not the proxy, which is where the connection goes."""

    async def main() -> None:
        with httpx.Client(proxy=there.url) as client:
            client.get("http://httpx.example/here")  # noqa: ASYNC212 - the one that blocks is meant
        async with (
            aiohttp.ClientSession() as session,
            session.get("http://aiohttp.example/here", proxy=there.url) as response,
        ):
            await response.read()
        with requests.Session() as session_of_requests:
            proxies = {"http": there.url}
            session_of_requests.get("http://requests.example:81/here?a=b", proxies=proxies, timeout=5)
        with urllib3.ProxyManager(there.url) as pools:
            pools.request("GET", "http://urllib3.example/here")

    asyncio.run(main())
    rows = {row.host: row for row in watched.frame().upstreams}

    assert set(rows) == {"httpx.example", "aiohttp.example", "requests.example:81", "urllib3.example"}
    assert all((row.latency.count, row.errors) == (1, 0) for row in rows.values())
    assert len(there.wait_for(4)) == 4
