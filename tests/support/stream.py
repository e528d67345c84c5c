"""What a worker tells: its stream, read from its real socket.

`with streaming(service) as stream: …` connects to one worker, as a client would; `stream.until(…)` reads
frames until what they add up to is as the test expects.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from websockets.sync.client import ClientConnection, unix_connect

from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, Frame, Hello
from perftui_agent.wire.registration import Registration, read_registrations
from tests.support.seen import Seen
from tests.support.servers import Service

TIMEOUT_S = 20.0


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
        while not (self.seen.frames and condition(self.seen)):
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
        path,
        uri="ws://worker/",
        compression=None,
        max_size=MAX_MESSAGE_BYTES,
        open_timeout=TIMEOUT_S,
        ping_interval=None,  # who reads nothing for half a minute is still a client
    )


def _bytes(message: str | bytes) -> bytes:
    assert isinstance(message, bytes)
    return message
