"""Looks at descriptors without touching them.

They are the app's, and what lies behind one may be shared with other processes. `socket.socket(fileno=…)`
sets O_NONBLOCK on it wherever somebody has called `socket.setdefaulttimeout`, for everyone who has it, and
`detach` does not undo that; so the system is asked by number alone. A number that leads nowhere, or has
been given to something else meanwhile, gets no answer or that other thing's: nothing happens to it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import socket
import sys

_MOST_WITHOUT_A_TABLE = 65_536
"""How far to look where the system doesn't tell how long the table of descriptors is."""

_ADDRESS_BYTES = 128
"""`struct sockaddr_storage`."""

_FAMILY_IS_A_BYTE = platform.system() in {"Darwin", "FreeBSD", "OpenBSD", "NetBSD", "DragonFly"}
"""There an address begins with its length."""

# `PyDLL` keeps the GIL: neither call waits for anything, and to let go of it twenty thousand times beside a
# busy app is to wait for it, 5 ms each, as often.
_system = ctypes.PyDLL(None)
_getsockopt = _system.getsockopt
_getsockopt.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_getsockname = _system.getsockname
_getsockname.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


def socket_option(descriptor: int, level: int, option: int, size: int = 4) -> bytes:
    """Return what `getsockopt` tells of a socket, at most `size` bytes; none if it tells nothing."""
    buffer = ctypes.create_string_buffer(size)
    length = ctypes.c_uint32(size)
    if _getsockopt(descriptor, level, option, buffer, ctypes.byref(length)):
        return b""
    return buffer.raw[: length.value]


def listening(first: int, end: int) -> list[int]:
    """Return which of the descriptors from `first` to before `end` are sockets that listen: 1 µs each."""
    flag, length = ctypes.c_int(0), ctypes.c_uint32(4)
    into, size = ctypes.addressof(flag), ctypes.addressof(length)
    ask, level, option = _getsockopt, socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    return [
        descriptor
        for descriptor in range(first, end)
        if not ask(descriptor, level, option, into, size) and flag.value
    ]


def bound_to(descriptor: int) -> tuple[int, str]:
    """Return the family and the address of a socket: `host:port`, or a path; the address empty for others."""
    buffer = ctypes.create_string_buffer(_ADDRESS_BYTES)
    length = ctypes.c_uint32(_ADDRESS_BYTES)
    if _getsockname(descriptor, buffer, ctypes.byref(length)):
        return 0, ""
    data = buffer.raw[: min(length.value, _ADDRESS_BYTES)]
    family = data[1] if _FAMILY_IS_A_BYTE else int.from_bytes(data[:2], sys.byteorder)
    port = int.from_bytes(data[2:4], "big")
    if family == socket.AF_INET:
        return family, f"{socket.inet_ntop(family, data[4:8])}:{port}"
    if family == socket.AF_INET6:
        return family, f"[{socket.inet_ntop(family, data[8:24])}]:{port}"
    if family == socket.AF_UNIX and data[2:3] not in {b"", b"\0"}:  # neither nameless nor abstract
        return family, os.fsdecode(data[2:].partition(b"\0")[0])
    return family, ""


def table_size() -> int:
    """Return a number that every open descriptor is below."""
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:
            return int(file.read(4096).partition(b"FDSize:")[2].split(None, 1)[0])
    except (OSError, ValueError, IndexError):
        pass
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(soft, _MOST_WITHOUT_A_TABLE) if soft > 0 else _MOST_WITHOUT_A_TABLE


def number_open() -> int | None:
    """Return how many descriptors are open, if the system tells without listing them (Linux 6.2 and on)."""
    try:
        return os.stat("/proc/self/fd").st_size or None
    except OSError:
        return None
