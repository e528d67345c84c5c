"""What a worker tells: its stream, read from its real socket.

`with streaming(service) as stream: …` connects to one worker, as a client would; `stream.until(…)` reads
frames until what they add up to is as the test expects.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from websockets.sync.client import ClientConnection, unix_connect

from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, Frame, Hello, RouteFrame, StatusCounts
from perftui_agent.wire.registration import Registration, read_registrations
from tests.support.servers import Service

TIMEOUT_S = 20.0


@dataclass(slots=True)
class Seen:
    """What the frames of a worker add up to."""

    frames: list[Frame] = field(default_factory=list)
    routes: dict[str, RouteFrame] = field(default_factory=dict)

    def add(self, frame: Frame) -> None:
        """Add a frame."""
        self.frames.append(frame)
        for part in frame.routes:
            add_route(self.routes, part)

    @property
    def requests(self) -> dict[str, int]:
        """How many requests each route has had."""
        return {label: route.status.total() for label, route in self.routes.items()}

    @property
    def total(self) -> int:
        """How many requests there were."""
        return sum(self.requests.values())

    @property
    def exceptions(self) -> list[tuple[str, str, str]]:
        """Route, type and place of each kind of unhandled exception."""
        return [
            (label, exception.type, exception.place)
            for label, route in self.routes.items()
            for exception in route.exceptions
        ]

    @property
    def last(self) -> Frame:
        """The latest frame."""
        return self.frames[-1]


def add_route(routes: dict[str, RouteFrame], part: RouteFrame) -> None:
    """Add what a route did in one frame to what it has done so far."""
    whole = routes.setdefault(
        part.route, RouteFrame(route=part.route, status=StatusCounts(), latency=LatencySketch())
    )
    for name in StatusCounts.__struct_fields__:
        setattr(whole.status, name, getattr(whole.status, name) + getattr(part.status, name))
    whole.latency.merge(part.latency)
    whole.ttfb.merge(part.ttfb)
    whole.body_bytes.merge(part.body_bytes)
    if part.background is not None:
        whole.background = whole.background or LatencySketch()
        whole.background.merge(part.background)
    whole.streaming += part.streaming
    whole.exceptions = [*whole.exceptions, *part.exceptions]


class Stream:
    """One connection to a worker."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        hello = decode_from_agent(_bytes(connection.recv(TIMEOUT_S)))
        assert isinstance(hello, Hello)
        self.hello = hello
        self.seen = Seen()

    def frame(self) -> Frame:
        """Return the next frame."""
        while True:
            message = decode_from_agent(_bytes(self._connection.recv(TIMEOUT_S)))
            if isinstance(message, Frame):
                self.seen.add(message)
                return message

    def until(self, condition: Callable[[Seen], bool], timeout_s: float = TIMEOUT_S) -> Seen:
        """Read frames until `condition` holds for what has been seen, and return that."""
        deadline = time.monotonic() + timeout_s
        while not condition(self.seen):
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout_s:g} s in vain; seen: {self.seen.requests}")
            self.frame()
        return self.seen

    def until_requests(self, count: int) -> Seen:
        """Read frames until so many requests have been seen."""
        return self.until(lambda seen: seen.total >= count)


@contextlib.contextmanager
def streaming(service: Service, pid: int | None = None) -> Iterator[Stream]:
    """Connect to the worker `pid`, or to the only one."""
    service.wait_registered()
    with connected(registration_of(service, pid).socket) as connection:
        yield Stream(connection)


def registration_of(service: Service, pid: int | None = None) -> Registration:
    """Return the entry of the worker `pid`, or of the only one."""
    entries = [entry for _, entry in read_registrations(service.runtime_dir)]
    if pid is not None:
        entries = [entry for entry in entries if entry.worker.pid == pid]
    (entry,) = entries
    return entry


def connected(path: str) -> ClientConnection:
    """Connect to a worker's socket as clients do."""
    return unix_connect(
        path, uri="ws://worker/", compression=None, max_size=MAX_MESSAGE_BYTES, open_timeout=TIMEOUT_S
    )


def _bytes(message: str | bytes) -> bytes:
    assert isinstance(message, bytes)
    return message
