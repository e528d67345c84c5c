"""Whatever wraps the app from outside, the server's side of a request is found, cheaply and within bounds."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware

from perftui_agent.guard import Guard
from perftui_agent.probes.http import server_side
from perftui_agent.probes.http.server_side import MAX_CODES, MAX_VISITED, ServerSides
from tests.support.timed import http_scope


class Cycle:
    """The server's side of a request, as uvicorn has it."""

    def __init__(self) -> None:
        self.disconnected = False
        self.transport: Any = object()
        self._coming = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self) -> Any:
        return self._coming.pop() if self._coming else {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        pass


def closure(send: Any, receive: Any) -> tuple[Any, Any]:
    async def wrapped(message: Any) -> None:
        await send(message)

    return wrapped, receive


def wrapping_function(send: Any, receive: Any) -> tuple[Any, Any]:
    @functools.wraps(send)
    async def wrapped(message: Any) -> None:
        await send(message)

    return wrapped, receive


def partial(send: Any, receive: Any) -> tuple[Any, Any]:
    async def passing(message: Any, then: Any) -> None:
        await then(message)

    return functools.partial(passing, then=send), receive


def positional_partial(send: Any, receive: Any) -> tuple[Any, Any]:
    async def passing(then: Any, message: Any) -> None:
        await then(message)

    return functools.partial(passing, send), receive


class Sender:
    """Passes on what it is sent, by a method."""

    def __init__(self, send: Any) -> None:
        self._send = send

    async def pass_on(self, message: Any) -> None:
        await self._send(message)

    async def __call__(self, message: Any) -> None:
        await self._send(message)


class SlottedSender:
    """The same, with slots, and another name for it."""

    __slots__ = ("original",)

    def __init__(self, send: Any) -> None:
        self.original = send

    async def pass_on(self, message: Any) -> None:
        await self.original(message)


def method(send: Any, receive: Any) -> tuple[Any, Any]:
    return Sender(send).pass_on, receive


def slotted_method(send: Any, receive: Any) -> tuple[Any, Any]:
    return SlottedSender(send).pass_on, receive


def callable_object(send: Any, receive: Any) -> tuple[Any, Any]:
    return Sender(send), receive


def through_a_queue(send: Any, receive: Any) -> tuple[Any, Any]:
    """As Starlette's middleware does: what is sent goes elsewhere, and `receive` alone leads on."""
    queue: list[Any] = []

    async def put(message: Any) -> None:
        queue.append(message)

    async def wrapped_receive() -> Any:
        return await receive()

    return put, wrapped_receive


WRAPPERS = [
    closure,
    wrapping_function,
    partial,
    positional_partial,
    method,
    slotted_method,
    callable_object,
    through_a_queue,
]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_whatever_wraps_it(wrapper: Callable[[Any, Any], tuple[Any, Any]]) -> None:
    """Once, and again for each next request, whose own side it is."""
    sides = ServerSides(Guard())
    for _ in range(3):
        cycle = Cycle()
        assert sides.find(*wrapper(cycle.send, cycle.receive)) is cycle
    assert sides.attach() == "on"


def test_all_of_them_around_each_other() -> None:
    """A stack of middleware is no deeper than the search goes."""
    cycle = Cycle()
    send, receive = cycle.send, cycle.receive
    for wrapper in WRAPPERS:
        send, receive = wrapper(send, receive)
    assert ServerSides(Guard()).find(send, receive) is cycle


def test_the_way_is_remembered_and_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search per code of a wrapper, not per request."""
    sides, searched = ServerSides(Guard()), []
    search = server_side._search

    def counting(send: Any, receive: Any) -> Any:
        searched.append(send)
        return search(send, receive)

    monkeypatch.setattr(server_side, "_search", counting)
    for _ in range(100):
        cycle = Cycle()
        assert sides.find(*closure(cycle.send, cycle.receive)) is cycle
    assert len(searched) == 1


def test_one_wrapper_around_different_ones_is_followed_into_each() -> None:
    """CORS wraps only requests that have an origin: the next wrapper sees now this and now that."""
    sides = ServerSides(Guard())
    for _ in range(3):
        for inner in (closure, partial, method):
            cycle = Cycle()
            assert sides.find(*closure(*inner(cycle.send, cycle.receive))) is cycle


def test_a_server_that_shows_nothing_is_asked_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is said that nobody knows."""
    sides, searched = ServerSides(Guard()), []
    monkeypatch.setattr(server_side, "_search", lambda *_: searched.append(1))
    for _ in range(1_000):
        assert sides.find([].append, [].pop) is None
    assert len(searched) == 10
    assert sides.attach().startswith("off: ")


def test_a_search_ends_however_much_there_is_to_find() -> None:
    """Objects that hold each other, and more of them than anybody has time for."""

    class Deep:
        def __init__(self, inner: Any) -> None:
            self.send = inner
            self.send_again = self
            self.senders = [self] * 10

    at: Any = None
    for _ in range(10 * MAX_VISITED):
        at = Deep(at)
    assert ServerSides(Guard()).find(at, at) is None


def test_what_is_remembered_is_bounded() -> None:
    """Wrappers may be compiled anew for each request."""
    sides = ServerSides(Guard())
    for number in range(3 * MAX_CODES):
        made: dict[str, Any] = {}
        exec(f"async def send_{number}(message): ...", made)
        assert isinstance(made[f"send_{number}"], FunctionType)
        sides.find(made[f"send_{number}"], made[f"send_{number}"])
    assert len(sides._ways) <= MAX_CODES


def test_nothing_of_a_request_is_kept() -> None:
    """Once it is over, its server's side goes."""
    sides, cycle = ServerSides(Guard()), Cycle()
    sides.find(*closure(cycle.send, cycle.receive))
    gone = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert gone() is None


def test_looking_runs_nobodys_code() -> None:
    """A property of a wrapper's is not run, and what it raises reaches nobody."""

    class Odd(Sender):
        @property
        def send_property(self) -> Any:
            raise AssertionError("it was run")

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            raise AssertionError(f"{name} was asked for")

    cycle = Cycle()
    assert ServerSides(Guard()).find(Odd(cycle.send).pass_on, cycle.receive) is cycle


class HypercornLike:
    """A stream of hypercorn's."""

    __module__ = "hypercorn.protocol.http_stream"

    class _State:
        name = "REQUEST"

    def __init__(self) -> None:
        self.closed = False
        self.state = self._State()

    async def app_send(self, message: Any) -> None:
        pass


def test_hypercorns_stream_is_closed_after_its_last_byte_too() -> None:
    """Only one that was closed before it is that of a client that left."""
    stream = HypercornLike()
    side = ServerSides(Guard()).find(*closure(stream.app_send, None))
    assert not side.disconnected
    stream.closed = True
    assert side.disconnected
    stream.state.name = "CLOSED"
    assert not side.disconnected


async def _nothing(*_: Any) -> Any: ...


@pytest.mark.parametrize("outside", [CORSMiddleware, BaseHTTPMiddleware])
def test_through_starlettes_own_middleware(outside: Any) -> None:
    """CORS passes a partial on, and the base of many others a closure and a request."""
    import asyncio

    sides, found = ServerSides(Guard()), []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        found.append(sides.find(send, receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def passing(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    options: dict[str, Any] = {"dispatch": passing} if outside is BaseHTTPMiddleware else {}
    app = Starlette()
    app.mount("/in", inner)
    wrapped = outside(outside(app, **options), **options)
    cycle = Cycle()
    scope = http_scope("/in/", headers=[(b"origin", b"http://other")])
    asyncio.run(wrapped(scope, cycle.receive, cycle.send))
    assert found == [cycle]
