"""Where workers say that they are there: one small JSON file each in the runtime directory.

An agent writes `<pid>-<start time>.json` beside its socket `<pid>-<start time>.sock`; a client
reads the directories it may read. Files are only believed if they and their directory belong to
this user (or root) and nobody else could have planted them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from perftui_agent.wire.frames import WorkerIdentity

MAX_REGISTRATION_BYTES = 64 * 1024

MAX_SOCKET_PATH_BYTES = 100
"""The kernel's bound is 108 on Linux and 104 on macOS."""


class Registration(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a worker tells of itself."""

    wire: int
    worker: WorkerIdentity
    socket: str
    """The path of the worker's stream socket."""
    tcp: list[str] = []
    """`host:port` of each TCP socket it listens on; IPv6 hosts in brackets."""
    unix: list[str] = []
    """Path of each Unix socket it listens on."""


class UnsafeRuntimeDirError(OSError):
    """Someone else could have planted what is in this directory."""


def runtime_dir() -> Path:
    """Return the directory this user's agents register in, whether or not it exists.

    `PERFTUI_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/perftui`, else `/tmp/perftui-<uid>`.
    """
    if chosen := os.environ.get("PERFTUI_RUNTIME_DIR"):
        return Path(chosen)
    if (xdg := os.environ.get("XDG_RUNTIME_DIR")) and os.path.isdir(xdg):
        return Path(xdg) / "perftui"
    return Path("/tmp") / f"perftui-{os.getuid()}"  # noqa: S108 - refused by `check_private` unless ours alone


def check_private(directory: Path) -> None:
    """Raise `UnsafeRuntimeDirError` unless `directory` is ours (or root's) and closed to others."""
    info = os.lstat(directory)
    if not stat.S_ISDIR(info.st_mode):
        raise UnsafeRuntimeDirError(f"{directory} is not a directory")
    if info.st_uid not in {os.getuid(), 0} and os.getuid() != 0:
        raise UnsafeRuntimeDirError(f"{directory} belongs to uid {info.st_uid}")
    if info.st_mode & 0o077:
        raise UnsafeRuntimeDirError(
            f"{directory} is open to others (mode {info.st_mode & 0o777:o}): chmod 700 it"
        )


def read_registrations(directory: Path) -> Iterator[tuple[Path, Registration]]:
    """Yield each readable, valid registration in `directory`; anything else is passed over.

    Raises `UnsafeRuntimeDirError` for a directory others could have written to, `PermissionError`
    for one that can't be read; a directory that doesn't exist has no registrations.
    """
    try:
        check_private(directory)
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    for name in names:
        if not name.endswith(".json"):
            continue
        path = directory / name
        try:
            with path.open("rb") as file:
                data = file.read(MAX_REGISTRATION_BYTES + 1)
            if len(data) > MAX_REGISTRATION_BYTES:
                continue
            registration = msgspec.json.decode(data, type=Registration)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if os.path.dirname(registration.socket) == str(directory):
            yield path, registration
