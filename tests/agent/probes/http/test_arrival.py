"""Promise 9: how long a request's bytes had waited is what the kernel says, or it is not known."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.http.arrival import UNKNOWN, Arrivals
from perftui_agent.probes.http.server_side import server_name
from perftui_agent.probes.loop.pace import LoopPace
from tests.support.requests import begin
from tests.support.timed import http_scope, timed

MS = 1_000_000


class Kernel:
    """A socket of which the kernel says when something was last received and sent."""

    family = socket.AF_INET

    def __init__(self, received_ms: int, sent_ms: int = 60_000, unread: bytes = b"") -> None:
        self._info = struct.pack("=8B24I", *[0] * 8, *[0] * 9, sent_ms, 0, received_ms, *[0] * 12)
        self._ours, self._theirs = socket.socketpair()
        self._theirs.sendall(unread)
        kernels.append(self)

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        return self._info[:length]

    def fileno(self) -> int:
        return self._ours.fileno()

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


kernels: list[Kernel] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while kernels:
        kernels.pop().close()


class Side:
    """The server's side of a request, as uvicorn has it."""

    disconnected = False

    def __init__(self, sock: Any, *, more_body: bool | None = False, body: bytes = b"") -> None:
        self.transport = self
        self._sock = sock
        self.more_body = more_body
        self.body = body

    def get_extra_info(self, name: str) -> Any:
        assert name == "socket"
        return self._sock


@pytest.fixture
def arrivals() -> Iterator[Arrivals]:
    agent = the_agent()
    agent.own.window.empty()
    yield Arrivals(LoopPace(), agent.own.window, agent.own.guard)
    agent.own.window.empty()


def asked(arrivals: Arrivals, side: Any, **scope: Any) -> int:
    """Return what is written down of a request."""
    record = begin(scope=http_scope(**scope))
    arrivals.pace.late_from_ns = 0
    arrivals.ask(record, side)
    return record.queue_ns


def headers(**values: str) -> dict[str, Any]:
    return {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()]}


def test_a_request_has_waited_since_its_bytes_came(arrivals: Arrivals) -> None:
    """The kernel's milliseconds, and the status says that they are known."""
    assert asked(arrivals, Side(Kernel(received_ms=244))) == 244 * MS
    assert arrivals.attach() == "on"


def test_what_a_step_of_the_kernels_clock_may_be_is_nothing(arrivals: Arrivals) -> None:
    """A request that arrived an instant ago may read 4 ms."""
    assert asked(arrivals, Side(Kernel(received_ms=4))) == 0


def test_nobody_waits_since_before_what_was_sent_last(arrivals: Arrivals) -> None:
    """A pipelined request came before the answer to the one before it, and waited for that until then."""
    assert asked(arrivals, Side(Kernel(received_ms=900, sent_ms=40))) == 40 * MS


def test_what_tls_sends_of_its_own_is_no_answer(arrivals: Arrivals) -> None:
    """Session tickets go out as the first request is read."""
    assert asked(arrivals, Side(Kernel(received_ms=300, sent_ms=0)), scheme="https") == 300 * MS


def test_a_body_that_is_still_on_its_way_tells_nothing_of_its_head(arrivals: Arrivals) -> None:
    """What came last is a part of the body: when the head came, nobody knows; of chunks neither."""
    uploading = Side(Kernel(received_ms=40), more_body=True, body=b"x" * 10)
    assert asked(arrivals, uploading, method="POST", **headers(content_length="1000")) == UNKNOWN
    assert asked(arrivals, uploading, method="POST", **headers(transfer_encoding="chunked")) == UNKNOWN
    assert arrivals.attach() == "on"


def test_a_body_that_waits_in_the_kernel_has_arrived(arrivals: Arrivals) -> None:
    """The server reads large bodies in pieces; what it has and what it has not read yet is all of it."""
    side = Side(Kernel(received_ms=40, unread=b"y" * 90), more_body=True, body=b"x" * 10)
    assert asked(arrivals, side, method="POST", **headers(content_length="100")) == 40 * MS
    assert asked(arrivals, side, method="POST", **headers(content_length="101")) == UNKNOWN


def test_a_body_that_the_kernel_had_no_room_for_came_when_it_was_read(arrivals: Arrivals) -> None:
    """Its end says nothing of how long its beginning had waited."""
    whole = Side(Kernel(received_ms=40), body=b"x" * 70_000)
    assert asked(arrivals, whole, method="POST", **headers(content_length="70000")) == UNKNOWN
    assert asked(arrivals, whole, method="POST", **headers(transfer_encoding="chunked")) == UNKNOWN
    small = Side(Kernel(received_ms=40), body=b"x" * 20)
    assert asked(arrivals, small, method="POST", **headers(transfer_encoding="chunked")) == 40 * MS


class Unix(Kernel):
    """A Unix socket, which knows nothing of TCP."""

    family = socket.AF_UNIX

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        return self._ours.getsockopt(level, option, length)


@pytest.mark.parametrize(
    ("side", "scope", "why"),
    [
        (lambda: None, {}, "{server} does not show its connection"),
        (lambda: Side(None), {}, "{server} does not show its socket"),
        (lambda: Side(Unix(received_ms=300)), {}, "Unix sockets have no such clock"),
        (lambda: Side(Kernel(300)), {"http_version": "2"}, "requests of HTTP/2 share their connection"),
    ],
)
def test_where_the_kernel_cannot_be_asked_the_status_says_why(
    arrivals: Arrivals, side: Callable[[], Any], scope: dict[str, Any], why: str
) -> None:
    """The request's time before the app is not known, and nothing is made up."""
    assert asked(arrivals, side(), **scope) == UNKNOWN
    assert arrivals.attach() == "off: " + why.format(server=server_name() or "the server")


def test_who_can_be_asked_of_some_requests_stays_on(arrivals: Arrivals) -> None:
    """A worker that also listens on a Unix socket knows of the others."""
    asked(arrivals, Side(Kernel(received_ms=300)))
    assert asked(arrivals, Side(Unix(received_ms=300))) == UNKNOWN
    assert arrivals.attach() == "on"


def test_a_connection_that_is_gone_is_no_fault(arrivals: Arrivals) -> None:
    """The descriptor may be closed by the time the app is called."""

    class Closed(Kernel):
        def getsockopt(self, level: int, option: int, length: int) -> bytes:
            raise OSError(9, "Bad file descriptor")

    before = dict(the_agent().own.guard.faults)
    assert asked(arrivals, Side(Closed(received_ms=0))) == UNKNOWN
    assert the_agent().own.guard.faults == before


def test_a_fault_of_ours_is_counted_and_harms_nobody(arrivals: Arrivals) -> None:
    """Whatever a server's object may do when it is looked at."""

    class Odd(Side):
        def get_extra_info(self, name: str) -> Any:
            raise RuntimeError("no")

    assert asked(arrivals, Odd(Kernel(300))) == UNKNOWN
    assert the_agent().own.guard.faults["probes.queue"] >= 1


@contextlib.contextmanager
def served(app: Any, side: Any) -> Iterator[Any]:
    """Yield how to call `app` once, with a server's side of the request."""

    class Server(type(side)):  # type: ignore[misc]
        async def send(self, message: Any) -> None:
            pass

    side.__class__ = Server

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    with timed(app) as service:
        yield service, lambda: asyncio.run(service.app(http_scope(), receive, side.send))


def test_promise_9_latency_begins_when_the_bytes_have_arrived() -> None:
    """On the route, in the slowest request's story, of which it is the first span, and by itself."""
    app = FastAPI()
    app.add_api_route("/", lambda: {"a": 1})
    with served(app, Side(Kernel(received_ms=300))) as (service, call):
        call()
        (route,) = service.seen.routes.values()
        assert 300 * MS < route.latency.max < 900 * MS
        assert route.ttfb.max == route.latency.max
        assert (route.queue_known, route.queue.count, route.queue.max) == (1, 1, 300 * MS)
        (slow,) = service.seen.frames[0].slowest
        assert (slow.spans[0].kind, slow.spans[0].start_ns, slow.spans[0].ns) == ("queue", 0, 300 * MS)
        assert slow.total_ns == route.latency.max
        assert all(span.start_ns >= 300 * MS for span in slow.spans[1:])


def test_a_request_in_flight_is_as_old_as_its_bytes() -> None:
    """It was waited for before the app knew of it."""
    record = begin(queue_ns=5_000 * MS)
    assert record.arrived_ns == record.started_ns - 5_000 * MS


def test_looking_changes_nothing_of_a_descriptor() -> None:
    """A default time-out somewhere in the app does not reach the connection: its flags are as they were."""
    import fcntl

    socket.setdefaulttimeout(30)
    try:
        listener = socket.create_server(("127.0.0.1", 0))
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        ours.setblocking(True)
        theirs.sendall(b"GET")
        time.sleep(0.05)
        before = fcntl.fcntl(ours.fileno(), fcntl.F_GETFL)
        agent = the_agent()
        arrivals = Arrivals(LoopPace(), agent.own.window, agent.own.guard)
        uploading = Side(ours, more_body=True)
        waited_ns = asked(arrivals, uploading, method="POST", **headers(content_length="3"))
        assert 30 * MS <= waited_ns <= 2_000 * MS
        assert fcntl.fcntl(ours.fileno(), fcntl.F_GETFL) == before
    finally:
        socket.setdefaulttimeout(None)
        agent.own.window.empty()
        for sock in (listener, theirs, ours):
            sock.close()
