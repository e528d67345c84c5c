"""How many connections wait to be accepted at each listening socket, of how many that may.

The kernel completes connections by itself and keeps them until the app accepts; while its loop does not
turn, they pile up. Asked by descriptor and inode alone: no flag of the app's sockets is touched, and no
socket object is made of them. A queue drains within a turn of the loop, so it is looked at with every beat
while the loop does not turn in time, now and then besides, frames included (2.4 µs warm, 90 µs amid a busy
machine's cold caches), and the most that was seen is told. Who comes when it is full is counted by the host
for all its sockets together; that file costs 300 µs, and is read when a queue fills, else every five seconds.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from perftui_agent.descriptors import socket_option
from perftui_agent.listeners import ListeningSocket
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import Listener

HOST_EVERY_S = 5.0

DRAINS_S = 0.5
"""How long a queue is not looked at while the loop turns: each turn of it leaves none."""

FILLING = 0.5
"""From this part of its limit on, it is asked at once what the host has refused."""

_INFO = struct.Struct("=B23xII")
"""Of `struct tcp_info` the state, `tcpi_unacked` and `tcpi_sacked`, which are, of a socket that listens, how
many wait and how many may."""
_LISTENS = 10
"""`TCP_LISTEN`, in both families."""

_HOST_COUNTS = "/proc/self/net/netstat"
_OVERFLOWS = b"ListenOverflows"

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_ONE_REPLY = 1
_SHOW_QUEUE = 0x10
_QUEUE_LENGTHS = 4
_HEADER = struct.Struct("=IHHII")
_UNIX_ASKED = struct.Struct("=BBHIIIII")
_UNIX_TOLD = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_ANY = 0xFFFFFFFF
_ANSWERS_WITHIN_S = 0.2

Found = Callable[[], Sequence[ListeningSocket]]
"""Where this process listens, as was last seen."""


class AcceptQueueProbe:
    """Reads the accept queues of this process; runs on the agent's thread."""

    name = "accept queue"

    def __init__(self, found: Found, now: Callable[[], float] = time.monotonic) -> None:
        self._found = found
        self._most: dict[str, int] = {}
        self._fills = False
        self._looked_at = float("-inf")
        self._now = now
        self._overflows: int | None = None
        self._host_read_at = float("-inf")

    def attach(self) -> ProbeStatus:
        """There is nothing to attach to."""
        return ON if sys.platform == "linux" else "off: not Linux"

    def detach(self) -> None:
        """There is nothing to take back."""

    def look(self, *, drains: bool = False) -> None:
        """Note how many wait at this moment; now and then, if the loop `drains` the queues."""
        now = self._now()
        if drains and now - self._looked_at < DRAINS_S:
            return
        self._looked_at = now
        for each in self._found():
            if each.family != socket.AF_UNIX:
                self._note(each.address, *tcp_queue(each.descriptor))

    def fill(self, frame: Frame) -> None:
        """Add the sockets as they are now, and what was refused since the host was last asked."""
        if sys.platform != "linux":
            return
        self._looked_at = self._now()
        for each in self._found():
            ask = unix_queue if each.family == socket.AF_UNIX else tcp_queue
            waiting, limit = ask(each.descriptor)
            self._note(each.address, waiting, limit)
            frame.listeners.append(
                Listener(
                    address=each.address, waiting=waiting, limit=limit, most=self._most.get(each.address)
                )
            )
        frame.listen_overflows = self._refused()
        self._most.clear()

    def _note(self, address: str, waiting: int | None, limit: int | None) -> None:
        if waiting is not None and waiting >= self._most.get(address, 0):
            self._most[address] = waiting
            self._fills |= bool(limit) and waiting >= FILLING * (limit or 0)

    def _refused(self) -> int | None:
        now = time.monotonic()
        if not self._fills and now - self._host_read_at < HOST_EVERY_S:
            return None
        self._fills = False
        self._host_read_at = now
        before, self._overflows = self._overflows, host_overflows()
        if before is None or self._overflows is None:
            return None
        return max(0, self._overflows - before)


def tcp_queue(descriptor: int) -> tuple[int | None, int | None]:
    """Return how many connections wait at a TCP socket, and how many may; Nones if it does not listen."""
    info = socket_option(descriptor, socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    if len(info) < _INFO.size:
        return None, None
    state, waiting, limit = _INFO.unpack(info)
    # The number may have been given to a connection since it was last looked for.
    return (waiting, limit) if state == _LISTENS else (None, None)


def unix_queue(descriptor: int) -> tuple[int | None, int | None]:
    """Return the same of a Unix socket: the kernel's socket diagnosis is asked by its inode."""
    try:
        inode = os.fstat(descriptor).st_ino
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(_ANSWERS_WITHIN_S)
            asked = _UNIX_ASKED.pack(socket.AF_UNIX, 0, 0, _ANY, inode, _SHOW_QUEUE, _ANY, _ANY)
            kernel.send(
                _HEADER.pack(_HEADER.size + len(asked), _SOCK_DIAG_BY_FAMILY, _ONE_REPLY, 1, 0) + asked
            )
            return _unix_lengths(kernel.recv(4096))
    except (OSError, struct.error):  # no such module in this kernel, or a sandbox that forbids it
        return None, None


def _unix_lengths(reply: bytes) -> tuple[int | None, int | None]:
    length, kind, *_ = _HEADER.unpack_from(reply)
    if kind != _SOCK_DIAG_BY_FAMILY:
        return None, None
    at = _HEADER.size
    state = _UNIX_TOLD.unpack_from(reply, at)[2]
    at += _UNIX_TOLD.size
    while state == _LISTENS and at + _ATTRIBUTE.size <= min(length, len(reply)):
        size, attribute = _ATTRIBUTE.unpack_from(reply, at)
        if attribute == _QUEUE_LENGTHS:
            waiting, limit = struct.unpack_from("=II", reply, at + _ATTRIBUTE.size)
            return waiting, limit
        at += max((size + 3) & ~3, _ATTRIBUTE.size)
    return None, None


def host_overflows() -> int | None:
    """Return how many connections this host has refused at full queues since it started."""
    try:
        with open(_HOST_COUNTS, "rb", buffering=0) as file:
            lines = file.read(64 * 1024).splitlines()
    except OSError:
        return None
    for names, values in pairwise(lines):
        words = names.split()
        if _OVERFLOWS in words and names.split(b":")[0] == values.split(b":")[0]:
            told = values.split()
            at = words.index(_OVERFLOWS)
            return int(told[at]) if at < len(told) and told[at].isdigit() else None
    return None
