"""When a TCP connection last had data, as the kernel knows it: `TCP_INFO`, in steps of the kernel's clock.

The socket is looked at and not touched: no option or flag of it is set.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from typing import Any, NamedTuple

TCP_INFO: int | None = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None

_MS = 1_000_000

INFO_BYTES = 56
LAST_DATA_SENT = 44
LAST_DATA = struct.Struct("=I4xI")
"""Where in the kernel's `struct tcp_info` the two numbers stand that are read of it: sent, received."""

_CLOCK_MONOTONIC_COARSE = 6
"""Linux's clock that moves with the kernel's tick, for which Python has no name."""


class LastData(NamedTuple):
    """How many milliseconds ago there was some."""

    sent_ms: int
    received_ms: int


def last_data(sock: Any) -> LastData | None:
    """Return when a socket's connection last had data; None where the kernel does not tell.

    Raises OSError if the connection is gone.
    """
    if TCP_INFO is None:
        return None
    info = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, INFO_BYTES)
    if len(info) < INFO_BYTES:
        return None
    return LastData(*LAST_DATA.unpack_from(info, LAST_DATA_SENT))


def least_ns() -> int:
    """Return what the kernel's clock can tell from nothing: a step may pass within any instant."""
    try:
        step_ns = int(time.clock_getres(_CLOCK_MONOTONIC_COARSE) * 1e9)
    except OSError:
        step_ns = 4 * _MS
    return max(5 * _MS, 2 * step_ns)
