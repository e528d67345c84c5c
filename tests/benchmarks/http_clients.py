"""The HTTP clients that are compared: each on a network that answers at once, watched by us and by a peer.

The network is put in where a library opens connections: all that is the library's own is as in real life.
"""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import aiohttp
import httpcore
import httpx
import requests
import urllib3
from aiohttp.client_proto import ResponseHandler
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.aiohttp import AiohttpProbe
from perftui_agent.probes.http_client.httpx import HttpxProbe
from perftui_agent.probes.http_client.urllib3 import Urllib3Probe
from perftui_agent.probes.probe import Probe
from perftui_agent.window.window import Window

PATH = "/users/7/orders"
URL = f"http://there.example{PATH}"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n" + b'{"orders": 7}'


class _Stream(httpcore.NetworkStream):
    """A connection of httpcore's on which there is always an answer."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return ANSWER

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send nothing."""

    def close(self) -> None:
        """Keep nothing."""

    def get_extra_info(self, info: str) -> Any:
        return None


class _Network(httpcore.NetworkBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> _Stream:
        return _Stream()


class _AsyncStream(httpcore.AsyncNetworkStream):
    async def read(self, *_args: Any, **_options: Any) -> bytes:
        return ANSWER

    async def write(self, *_args: Any, **_options: Any) -> None:
        """Send nothing."""

    async def aclose(self) -> None:
        """Keep nothing."""

    def get_extra_info(self, info: str) -> Any:
        return None


class _AsyncNetwork(httpcore.AsyncNetworkBackend):
    async def connect_tcp(self, *args: Any, **options: Any) -> _AsyncStream:
        return _AsyncStream()


class _Transport(asyncio.Transport):
    """A connection of asyncio's that answers at once what is written."""

    def __init__(self, protocol: ResponseHandler, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._protocol = protocol
        self._loop = loop

    def write(self, data: Any) -> None:
        self._loop.call_soon(self._protocol.data_received, ANSWER)

    def writelines(self, parts: Any) -> None:
        self.write(b"")

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self._loop.call_soon(self._protocol.connection_lost, None)


class _Connector(aiohttp.BaseConnector):
    async def _create_connection(self, *args: Any, **options: Any) -> ResponseHandler:
        protocol = ResponseHandler(self._loop)
        protocol.connection_made(_Transport(protocol, self._loop))
        return protocol


class _Socket:
    """A socket that has an answer whenever one is looked for, and never tells of more."""

    def __init__(self) -> None:
        self._pair = socket.socketpair()

    def makefile(self, *_args: Any, **_options: Any) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(ANSWER))

    def sendall(self, data: bytes) -> None:
        """Send nothing."""

    def settimeout(self, timeout: float | None) -> None:
        """Never wait."""

    def fileno(self) -> int:
        return self._pair[0].fileno()

    def close(self) -> None:
        for end_of_it in self._pair:
            end_of_it.close()


class _Connection(urllib3.connection.HTTPConnection):
    def connect(self) -> None:
        self.sock = _Socket()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class Library:
    """One library, sync or async: how it is asked, by us watched, and by a peer."""

    def __init__(self, name: str, probe: Callable[[Window], Probe]) -> None:
        self.name = name
        self.probe = probe

    def client(self) -> Any:
        """Return a new client on a network of our own."""
        raise NotImplementedError

    async def call(self, client: Any) -> None:
        """Ask once, and read the answer."""
        raise NotImplementedError

    async def close(self, client: Any) -> None:
        """Be done with a client."""
        client.close()

    def watch_by_peer(self, client: Any) -> AbstractContextManager[None]:
        """Have OpenTelemetry watch it, with the SDK, spans dropped when they end."""
        raise NotImplementedError


class Httpx(Library):
    """httpx in a thread."""

    def client(self) -> httpx.Client:
        transport = httpx.HTTPTransport()
        transport._pool = httpcore.ConnectionPool(network_backend=_Network())
        return httpx.Client(transport=transport)

    async def call(self, client: httpx.Client) -> None:
        assert client.get(URL).status_code == 200  # noqa: ASYNC212 - it is the one that blocks

    @contextmanager
    def watch_by_peer(self, client: Any) -> Iterator[None]:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=TracerProvider())
        yield
        HTTPXClientInstrumentor.uninstrument_client(client)


class AsyncHttpx(Httpx):
    """httpx on a loop."""

    def client(self) -> Any:
        transport = httpx.AsyncHTTPTransport()
        transport._pool = httpcore.AsyncConnectionPool(network_backend=_AsyncNetwork())
        return httpx.AsyncClient(transport=transport)

    async def close(self, client: Any) -> None:
        await client.aclose()

    async def call(self, client: Any) -> None:
        assert (await client.get(URL)).status_code == 200


class Aiohttp(Library):
    """aiohttp's client."""

    def client(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=_Connector())

    async def close(self, client: Any) -> None:
        await client.close()

    async def call(self, client: aiohttp.ClientSession) -> None:
        async with client.get(URL) as response:
            assert len(await response.read()) == 13

    @contextmanager
    def watch_by_peer(self, client: Any) -> Iterator[None]:
        config = create_trace_config(tracer_provider=TracerProvider())
        config.freeze()
        client._trace_configs.append(config)
        yield
        client._trace_configs.remove(config)


class Urllib3(Library):
    """urllib3."""

    def client(self) -> _Pool:
        return _Pool("there.example", 80)

    async def call(self, client: Any) -> None:
        assert client.request("GET", PATH).status == 200

    @contextmanager
    def watch_by_peer(self, client: Any) -> Iterator[None]:
        URLLib3Instrumentor().instrument(tracer_provider=TracerProvider())
        yield
        URLLib3Instrumentor().uninstrument()


class Requests(Library):
    """requests, and urllib3 beneath."""

    def client(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        adapter = requests.adapters.HTTPAdapter()
        adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool}
        session.mount("http://", adapter)
        return session

    async def call(self, client: requests.Session) -> None:
        assert client.get(URL).status_code == 200

    @contextmanager
    def watch_by_peer(self, client: Any) -> Iterator[None]:
        RequestsInstrumentor().instrument(tracer_provider=TracerProvider())
        yield
        RequestsInstrumentor().uninstrument()


LIBRARIES = (
    Httpx("httpx, sync", lambda window: HttpxProbe(window, Guard())),
    AsyncHttpx("httpx, async", lambda window: HttpxProbe(window, Guard())),
    Aiohttp("aiohttp", lambda window: AiohttpProbe(window, Guard())),
    Urllib3("urllib3", lambda window: Urllib3Probe(window, Guard())),
    Requests("requests", lambda window: Urllib3Probe(window, Guard())),
)
