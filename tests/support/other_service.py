"""Another service, for apps that call some: it does what a path says, and writes down what it was asked.

`/sleep/0.2/x` answers after so long, `/status/503` with this status, `/reset` hangs up without an answer,
`/drip/3/0.05` sends so many chunks with a pause before each, `/size/1000` a body of so many bytes,
`/slow/0.2` one that comes so long after its head, `/cut` and `/cut/chunks` break off in the midst of one,
`/to/…` sends a client on, `/flaky/…` fails every other time.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """One request, as the service saw it."""

    method: str
    path: str
    ms: float
    """Until its last byte was written."""


class OtherService:
    """The service, as a test sees it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[Asked] = []
        self.begun = 0
        """How much was asked so far, whether or not it has been answered."""
        self.connections = 0
        self.flaky: dict[str, int] = {}

    @property
    def host(self) -> str:
        """As it is told of."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Without a trailing slash."""
        return f"http://{self.host}"

    def wait_for(self, count: int) -> list[Asked]:
        """Return what was asked, once that is so much: it is written down after the client has its answer."""
        until = time.monotonic() + 5.0
        while len(self.asked) < count and time.monotonic() < until:
            time.sleep(0.005)
        return list(self.asked)

    def wait_begun(self, count: int) -> None:
        """Wait until so much was asked."""
        until = time.monotonic() + 5.0
        while self.begun < count and time.monotonic() < until:
            time.sleep(0.002)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    service: OtherService

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.service.connections += 1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Log nothing."""

    def do_GET(self) -> None:
        began = time.perf_counter()
        self.server.service.begun += 1
        length = int(self.headers.get("content-length") or 0)
        if length:
            self.rfile.read(length)
        try:
            self._answer(self.path.partition("?")[0].strip("/").split("/"))
        finally:
            ms = (time.perf_counter() - began) * 1000.0
            self.server.service.asked.append(Asked(self.command, self.path, ms))

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - as the base looks for them

    def _answer(self, words: list[str]) -> None:
        match words:
            case ["sleep", seconds, *_]:
                time.sleep(float(seconds))
                self._send(200, b"slept")
            case ["status", status, *_]:
                self._send(int(status), b"said")
            case ["flaky", *_]:
                times = self.server.service.flaky[self.path] = self.server.service.flaky.get(self.path, 0) + 1
                self._send(503 if times % 2 else 200, b"perhaps")
            case ["size", size, *_]:
                self._send(200, b"x" * int(size))
            case ["to", *rest]:
                self._send(302, b"", f"/{'/'.join(rest)}")
            case ["reset"]:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()
            case ["cut"]:
                self.send_response(200)
                self.send_header("content-length", "1000")
                self.end_headers()
                self.wfile.write(b"x" * 10)
                self.close_connection = True
            case ["cut", "chunks"]:
                self.send_response(200)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"5\r\ndrops\r\n")
                self.close_connection = True
            case ["slow", seconds]:
                self.send_response(200)
                self.send_header("content-length", "4")
                self.end_headers()
                time.sleep(float(seconds))
                with contextlib.suppress(OSError):
                    self.wfile.write(b"late")
            case ["drip", chunks, pause]:
                self.send_response(200)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for _ in range(int(chunks)):
                    time.sleep(float(pause))
                    self.wfile.write(b"5\r\ndrops\r\n")
                self.wfile.write(b"0\r\n\r\n")
            case _:
                self._send(200, b"here")

    def _send(self, status: int, body: bytes, location: str = "") -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if location:
            self.send_header("location", location)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextlib.contextmanager
def other_service() -> Iterator[OtherService]:
    """Run one, in threads of this process."""
    server = _Server(("127.0.0.1", 0), _Handler)
    service = server.service = OtherService(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)
