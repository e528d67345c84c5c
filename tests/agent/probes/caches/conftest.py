"""One Redis for all of these tests, emptied before each, and one cluster."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from perftui_agent.guard import Guard
from perftui_agent.probes.caches.redis import RedisProbe
from perftui_agent.records import CacheBatchRecord, CacheRecord
from perftui_agent.window.window import Window
from perftui_agent.wire.outside import CacheFrame
from tests.support.redis import RedisServer, redis_server


@pytest.fixture(scope="session")
def one_redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[RedisServer]:
    with redis_server(cluster=True) as server:
        yield server


@pytest.fixture
def server(one_redis: RedisServer) -> RedisServer:
    """The one Redis, empty."""
    with socket.create_connection(("127.0.0.1", one_redis.port), timeout=5) as connection:
        connection.sendall(b"FLUSHALL\r\nQUIT\r\n")
        while connection.recv(4096):
            pass
    return one_redis


@dataclass(slots=True)
class Seen:
    """What the probe has put, and what the window makes of it."""

    probe: RedisProbe
    window: Window
    guard: Guard
    spans: list[CacheRecord | CacheBatchRecord] = field(default_factory=list)

    def rows(self) -> dict[str, CacheFrame]:
        """Close a frame and give its rows by name; no fault may have happened."""
        self.spans = [
            record for record in self.window.pending if isinstance(record, CacheRecord | CacheBatchRecord)
        ]
        self.window.fold_pending()
        frame = self.window.close(seq=1, ended_at_ns=1, span_ns=1)
        assert self.guard.faults == {}
        return {row.name: row for row in frame.caches}

    def commands(self) -> dict[str, int]:
        """How many commands there were, by name."""
        return {name: row.latency.count for name, row in self.rows().items() if row.latency is not None}


@pytest.fixture
def attached() -> Iterator[Callable[[], Seen]]:
    """Attaches probes; all are detached at the end."""
    probes: list[RedisProbe] = []

    def attach() -> Seen:
        window, guard = Window(), Guard()
        window.open = True
        probe = RedisProbe(window, guard)
        assert probe.attach() == "on"
        probes.append(probe)
        return Seen(probe, window, guard)

    yield attach
    for probe in reversed(probes):
        probe.detach()


@pytest.fixture
def seen(attached: Callable[[], Seen]) -> Seen:
    """A probe, attached."""
    return attached()
