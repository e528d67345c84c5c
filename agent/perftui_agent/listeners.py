"""Where this process listens.

Gives its listening sockets, whoever opened them; touches none, and takes no time in one go that the app
would feel. To ask every descriptor costs 1 to 3 µs each, so with tens of thousands of open connections it
is done in slices, and less often: what listened before is looked at each time all the same. Where no more are
open than at the last search, and all that listened does, it is hardly ever done.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from perftui_agent.descriptors import bound_to, listening, number_open, socket_option, table_size

SLICE = 250
"""Descriptors asked in one go: about half a millisecond."""

AT_ONCE = 2_500
"""Of so many no pause is long: they cost 10 ms together."""

PAUSE_S = 0.1
"""Between two slices of more: twenty thousand are spread over seven seconds, at 1 % of a core."""

UNCHANGED_S = 30.0
"""How long it is enough that as many descriptors are open as there were: nothing else listens then."""

RESTS = 200
"""How many times as long as a search took there is none: it costs half a per cent of a core at most."""


class ListeningSocket(NamedTuple):
    """A socket of the app's that takes connections."""

    descriptor: int
    family: int
    address: str
    """`127.0.0.1:8000`, `[::1]:8000`, or the absolute path of a Unix socket."""


class Listeners:
    """The listening sockets of this process, as they were when they were last looked for."""

    def __init__(self) -> None:
        self.found: tuple[ListeningSocket, ...] = ()
        self.own_path = ""
        """The path of the agent's own Unix socket, once there is one."""
        self._rests_until_s = self._searched_at_s = float("-inf")
        self._open: int | None = None
        """How many descriptors there were after the last search, where the system tells."""

    def of_the_app(self) -> list[ListeningSocket]:
        """Return those that are not the agent's."""
        return [each for each in self.found if each.address != self.own_path]

    def look(self) -> Iterator[float]:
        """Look again; yields for how many seconds to let go of the GIL before the next step."""
        began_s, cost_s, known = time.monotonic(), 0.0, self.found
        rests = began_s < self._rests_until_s
        if rests or self._is_unchanged(began_s):
            self._look_at(each.descriptor for each in known)
            if rests or len(self.found) == len(known):
                return
        found: list[int] = []
        for first in range(0, table_size(), SLICE):
            before_s = time.thread_time()
            found += listening(first, first + SLICE)
            cost_s += time.thread_time() - before_s
            yield PAUSE_S if first > AT_ONCE else 0.0
        self._look_at(found)
        self._open, self._searched_at_s = number_open(), began_s
        self._rests_until_s = time.monotonic() + RESTS * cost_s

    def _is_unchanged(self, now_s: float) -> bool:
        is_recent = now_s - self._searched_at_s < UNCHANGED_S
        return is_recent and self._open is not None and self._open == number_open()

    def _look_at(self, descriptors: Iterable[int]) -> None:
        self.found = tuple([each for each in map(_look_at, descriptors) if each is not None])


def _look_at(descriptor: int) -> ListeningSocket | None:
    """Return the listening socket behind a descriptor, if there is one that has an address."""
    if not listening(descriptor, descriptor + 1):
        return None
    kind = int.from_bytes(socket_option(descriptor, socket.SOL_SOCKET, socket.SO_TYPE), sys.byteorder)
    family, address = bound_to(descriptor)
    if not address or kind != socket.SOCK_STREAM:
        return None
    # A relative path is the server's own way to say it.
    return ListeningSocket(
        descriptor, family, os.path.abspath(address) if family == socket.AF_UNIX else address
    )


def addresses(found: Iterable[ListeningSocket], without: str = "") -> tuple[list[str], list[str]]:
    """Return the TCP addresses and the paths of Unix sockets, each once, but for the path `without`."""
    tcp = {each.address for each in found if each.family != socket.AF_UNIX}
    unix = {each.address for each in found if each.family == socket.AF_UNIX} - {without}
    return sorted(tcp), sorted(unix)
