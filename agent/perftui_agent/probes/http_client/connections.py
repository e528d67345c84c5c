"""The connections that an app's own clients have, host by host, as a frame closes."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from perftui_agent.wire.outside import UpstreamFrame

MAX_CLIENTS = 200
"""Clients (of urllib3: pools, one for each host that a session asks) whose connections are looked at."""


class HostConnections:
    """Those to one host: how many, how many idle, how many there may be (0: as many as one likes)."""

    __slots__ = ("_at_rest", "_at_work", "idle", "there")

    def __init__(self) -> None:
        self.there = self.idle = self._at_work = self._at_rest = 0

    def add(self, there: int, idle: int, limit: int) -> None:
        """Add those of one client."""
        self.there += there
        self.idle += idle
        if there > idle:
            self._at_work += limit
        else:
            self._at_rest += limit

    @property
    def limit(self) -> int:
        """Of the clients that are at work, if any is: who waits for one gets no place of another's."""
        return self._at_work or self._at_rest


Hosts: TypeAlias = dict[str, HostConnections]

CountConnections: TypeAlias = Callable[[Any, Hosts], None]
"""Adds one client's connections to those of each host; a library's own."""


class Clients:
    """The clients that were seen to call, as long as the app keeps them."""

    def __init__(self, count: CountConnections) -> None:
        self._count = count
        self._refs: dict[int, weakref.ref[Any]] = {}

    def meet(self, client: Any) -> None:
        """Take note of a client that calls for the first time; on the app's threads."""
        if len(self._refs) < MAX_CLIENTS:
            self._refs[id(client)] = weakref.ref(client)

    def forget(self) -> None:
        """Know of none any more."""
        self._refs.clear()

    def tell(self, rows: Iterable[UpstreamFrame]) -> None:
        """Write into each row what connections there are to its host; on the agent's thread."""
        rows = list(rows)
        hosts: Hosts = {}
        for key, ref in list(self._refs.items()):
            client = ref()
            if client is None:
                self._refs.pop(key, None)
            elif rows:
                self._count(client, hosts)
        for row in rows:
            to = hosts.get(row.host)
            if to is not None:
                row.connections, row.idle, row.limit = to.there, to.idle, to.limit or None


def bounded(limit: int | None) -> int:
    """Return how many connections there may be; 0 for what libraries have for as many as one likes."""
    return limit if limit and limit < sys.maxsize else 0
