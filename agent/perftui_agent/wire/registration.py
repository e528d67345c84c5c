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

from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.texts import REPLACEMENT, encodable

MAX_REGISTRATION_BYTES = 64 * 1024

MAX_SOCKET_PATH_BYTES = 100
"""The kernel's bound is 108 on Linux and 104 on macOS."""


class StacksOnSignal(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """Where a worker writes the stacks of its threads when it gets a signal: see `wire.stacks_on_signal`."""

    path: str
    signal: int
    main_thread: int = 0
    """The number by which Python knows its main thread, which is all that it writes of who a thread is."""


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
    stacks: StacksOnSignal | None = None
    """None where it listens to no signal, for lack of a free one or because actions are switched off."""


def encode_registration(registration: Registration) -> bytes:
    """Return the JSON of a registration; what can't be encoded in it is replaced, see `wire.texts`."""
    try:
        return msgspec.json.encode(registration)
    except UnicodeEncodeError:
        return msgspec.json.encode(encodable(registration))


class UnsafeRuntimeDirError(OSError):
    """Someone else could have planted what is in this directory."""


def runtime_dir() -> Path:
    """Return the directory this user's agents register in, whether or not it exists.

    `PERFTUI_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/perftui`, else `/tmp/perftui-<uid>`.
    """
    return runtime_dirs()[0]


def runtime_dirs() -> list[Path]:
    """Return every directory this user's agents may have registered in, the likeliest first.

    A service started by an init system has no `XDG_RUNTIME_DIR` where the ssh session of the same
    user has one, so a client looks in both. `PERFTUI_RUNTIME_DIR` stands alone as long as it can be trusted.
    """
    if chosen := os.environ.get("PERFTUI_RUNTIME_DIR"):
        directory = Path(os.path.abspath(chosen))
        # Workers leave it when somebody else makes it theirs, and for one place only.
        return [directory] if _may_be_used(directory) else [directory, fallback_dir(os.getuid())]
    directories = []
    xdg = os.environ.get("XDG_RUNTIME_DIR")
    if xdg and _is_ours(xdg):
        directories.append(Path(xdg) / "perftui")
    directories.append(fallback_dir(os.getuid()))
    return directories


def fallback_dir(uid: int) -> Path:
    """Return the directory of a user without an `XDG_RUNTIME_DIR`; short enough for any socket."""
    return Path("/tmp") / f"perftui-{uid}"  # noqa: S108 - refused by `check_private` unless private


def _is_ours(directory: str) -> bool:
    # A server that has dropped its privileges may still have root's variable.
    try:
        info = os.stat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid()


def _may_be_used(directory: Path) -> bool:
    try:
        check_private(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def check_private(directory: Path) -> None:
    """Raise `UnsafeRuntimeDirError` if anyone but us and root could have planted files in `directory`."""
    info = os.lstat(directory)
    if not stat.S_ISDIR(info.st_mode):
        raise UnsafeRuntimeDirError(f"{directory} is not a directory")
    if os.getuid() != 0 and info.st_uid not in {os.getuid(), 0}:
        raise UnsafeRuntimeDirError(f"{directory} belongs to uid {info.st_uid}")
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(info.st_mode)
        raise UnsafeRuntimeDirError(f"{directory} can be written to by others (mode {mode:o}): chmod 700 it")


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
        if name.endswith(".json") and (registration := read_registration(directory / name)):
            yield directory / name, registration


def read_registration(path: Path) -> Registration | None:
    """Return the registration in `path`; None if there is none that can be believed."""
    try:
        with path.open("rb") as file:
            owner = os.fstat(file.fileno()).st_uid
            data = file.read(MAX_REGISTRATION_BYTES + 1)
        if len(data) > MAX_REGISTRATION_BYTES:
            return None
        registration = msgspec.json.decode(data, type=Registration)
        if REPLACEMENT in registration.socket:
            registration.socket = str(path.with_suffix(".sock"))  # beside, in a directory that can't be told
        # The socket lies beside its registration, or, where that path would be too long, in the
        # owner's fallback directory: never where a planted file could point a client.
        beside = Path(registration.socket).parent
        if beside == fallback_dir(owner):
            check_private(beside)
        elif beside != path.parent:
            return None
        if registration.stacks is not None:
            registration.stacks = _beside(path, registration.stacks)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return registration


def _beside(path: Path, stacks: StacksOnSignal) -> StacksOnSignal | None:
    """Return where the stacks are to be found; None if a planted entry leads elsewhere."""
    if REPLACEMENT in stacks.path:
        stacks = msgspec.structs.replace(stacks, path=str(path.with_suffix(".stacks")))
    return stacks if Path(stacks.path) == path.with_suffix(".stacks") else None
