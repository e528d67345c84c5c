"""An instrumented app, called in this process: `with timed(app) as service: service.get("/items/1")`.

The app is called through plain ASGI, as servers do; what the agent would tell in its frames is read
straight from its window, so that no test here waits for a second to pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx

from perftui_agent import instrument
from perftui_agent.instrumentation import the_agent
from perftui_agent.records import Scope
from perftui_agent.window.window import Window
from tests.support.seen import Seen


class Timed:
    """An instrumented app, and what the agent has seen of it."""

    def __init__(self, app: Any, window: Window) -> None:
        self.app = app
        self.window = window
        self._seen = Seen()

    def request(self, method: str, path: str, root_path: str = "", **options: Any) -> httpx.Response:
        """Send one request; a failure of the app is a 500."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, root_path=root_path)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, root_path: str = "", **options: Any) -> httpx.Response:
        """Get `path`."""
        return self.request("GET", path, root_path, **options)

    def call(self, scope: Scope, messages: list[Any] | None = None) -> list[Any]:
        """Call the app as a server without uvicorn's ways does; return the messages it has sent.

        It receives `messages`, one after the other, then that the client has left.
        """
        return asyncio.run(self._call(scope, [REQUEST] if messages is None else messages))

    def call_all(self, scopes: Iterable[Scope]) -> None:
        """Call the app once for each scope."""

        async def call_each() -> None:
            for scope in scopes:
                await self._call(scope, [REQUEST])

        asyncio.run(call_each())

    async def _call(self, scope: Scope, messages: list[Any]) -> list[Any]:
        waiting = list(messages)
        sent: list[Any] = []

        async def receive() -> Any:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return sent

    @property
    def seen(self) -> Seen:
        """Everything the agent has counted so far."""
        self.window.fold_pending()
        self._seen.add(self.window.close(seq=1, ended_at_ns=time.time_ns(), span_ns=1))
        return self._seen

    @property
    def requests(self) -> dict[str, int]:
        """How many requests each route has had so far."""
        return self.seen.requests


REQUEST = {"type": "http.request", "body": b"", "more_body": False}


def http_scope(path: str = "/", method: str = "GET", **others: Any) -> dict[str, Any]:
    """Return the scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    } | others


def client_of(app: Any, backend: str = "asyncio") -> Any:
    """Return Starlette's test client, which runs the app's lifespan and its requests in a thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would rather have another HTTP client
        from starlette.testclient import TestClient
    return TestClient(app, backend="trio" if backend == "trio" else "asyncio")


def in_a_process(source: str, **env: str) -> str:
    """Run `source` in a Python of its own, warnings being errors; return what it printed."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source)],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def in_forks(common: str, bodies: Mapping[str, str]) -> dict[str, str]:
    """Run each body in a process of its own, forked after what they have in common; return what each printed.

    What is imported in common is so once, and all else that a process has they have for themselves.
    """
    forks = [f"fork({name!r}, {textwrap.dedent(body)!r})" for name, body in bodies.items()]
    told = in_a_process("\n".join([textwrap.dedent(common), _FORK, *forks]))
    _, *parts = told.split("\0")
    return dict(zip(parts[::2], parts[1::2], strict=True))


_FORK = """
import os, sys

def fork(name, body):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        print(end=f"\\0{name}\\0")
        exec(body, globals())
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0, name
"""


@contextlib.contextmanager
def timed(app: Any) -> Iterator[Timed]:
    """Instrument `app`, without starting the agent's thread."""
    window = the_agent().own.window
    window.empty()
    window.take()
    window.open = True
    the_agent().own.pace.follow_this_thread()
    try:
        yield Timed(instrument(app), window)
    finally:
        window.empty()
