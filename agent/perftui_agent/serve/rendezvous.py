"""Says where this worker can be found, and cleans up after the dead.

Writes one registration file into the runtime directory, keeps the addresses in it up to date, removes
it at the end. A worker that was killed cannot: whoever starts next sweeps what it left.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import psutil

from perftui_agent.listeners import ListeningSocket, addresses
from perftui_agent.wire.frames import WIRE_VERSION, WorkerIdentity
from perftui_agent.wire.registration import (
    MAX_SOCKET_PATH_BYTES,
    Registration,
    UnsafeRuntimeDirError,
    check_private,
    fallback_dir,
    read_registrations,
    runtime_dir,
)

_OUR_SUFFIXES = (".json", ".sock", ".ring", ".new")

KEPT_BOXES = 8
KEPT_BOX_S = 3600.0

_START_TIME_TOLERANCE_S = 0.05

_NAME = re.compile(r"(\d{1,10})-(\d{1,12}\.\d{2})\.(?:json|sock|new)")
"""What a worker's files are called, but for its black box."""


class Rendezvous:
    """This worker's entry in the runtime directory."""

    def __init__(self, worker: WorkerIdentity, directory: str | None = None) -> None:
        self._worker = worker
        self._name = f"{worker.pid}-{worker.started_at:.2f}"
        self._directory = private_directory(Path(directory) if directory else runtime_dir())
        socket_dir = self._directory
        if len(os.fsencode(socket_dir / f"{self._name}.sock")) > MAX_SOCKET_PATH_BYTES:
            socket_dir = private_directory(fallback_dir(os.getuid()))
        self.socket_path = socket_dir / f"{self._name}.sock"
        self._path = self._directory / f"{self._name}.json"
        self.box_path = self._directory / f"{self._name}.ring"
        self._registration: Registration | None = None

    def publish(self, listening: Iterable[ListeningSocket] = ()) -> bool:
        """Write the registration with the addresses as they are; True if anything had changed."""
        tcp, unix = addresses(listening, without=str(self.socket_path))
        registration = Registration(
            wire=WIRE_VERSION, worker=self._worker, socket=str(self.socket_path), tcp=tcp, unix=unix
        )
        if registration == self._registration and self._path.exists():
            return False
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(registration))
        os.replace(temporary, self._path)
        self._registration = registration
        return True

    def withdraw(self) -> None:
        """Remove what was written. Never raises: it runs while the host app stops."""
        for path in (self._path, self.socket_path, self.box_path, self._path.with_suffix(".new")):
            with contextlib.suppress(OSError):
                path.unlink()

    def siblings(self) -> list[Registration]:
        """Return the registrations in the same directory, this worker's own included."""
        return [registration for _, registration in read_registrations(self._directory)]

    def sweep(self) -> int:
        """Remove what workers have left that are no more; return how many such workers there were.

        Their black boxes stay for an hour, the newest eight of them: somebody will want to know.
        """
        dead = set()
        for directory in {self._directory, self.socket_path.parent}:
            for name in os.listdir(directory):
                life = _life_of(name)
                if life is not None and not is_running(*life):
                    with contextlib.suppress(OSError):
                        (directory / name).unlink()
                    dead.add(life)
        self._sweep_boxes()
        return len(dead)

    def _sweep_boxes(self) -> None:
        living = {
            f"{entry.worker.pid}-{entry.worker.started_at:.2f}.ring"
            for _, entry in read_registrations(self._directory)
        }
        living.add(self.box_path.name)
        dead = [path for path in self._directory.glob("*.ring") if path.name not in living]
        by_age = sorted(((path.stat().st_mtime, path) for path in dead), reverse=True)
        for place, (written_at, path) in enumerate(by_age):
            if place >= KEPT_BOXES or time.time() - written_at > KEPT_BOX_S:
                with contextlib.suppress(OSError):
                    path.unlink()


def _life_of(name: str) -> tuple[int, float] | None:
    """Return the pid and the start time of the worker that a registration or a socket is named after."""
    named = _NAME.fullmatch(name)
    return (int(named[1]), float(named[2])) if named is not None else None


def is_running(pid: int, started_at: float) -> bool:
    """Tell whether this very process still runs: a recycled pid has another start time."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started_at) < _START_TIME_TOLERANCE_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def private_directory(directory: Path) -> Path:
    """Make `directory` and return it: ours, and closed to everyone else.

    An existing one that is ours and holds nothing but registrations is closed; any other that
    someone else may write to is refused with `UnsafeRuntimeDirError`.
    """
    os.makedirs(directory.parent, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    info = os.lstat(directory)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise UnsafeRuntimeDirError(f"{directory} is not a directory of uid {os.getuid()}")
    if stat.S_IMODE(info.st_mode) & 0o077:
        if all(_is_ours(directory / name) for name in os.listdir(directory)):
            os.chmod(directory, 0o700)
        else:
            check_private(directory)
    return directory


def _is_ours(path: Path) -> bool:
    # What others have put there must not be taken for ours once the directory is closed.
    return path.name.endswith(_OUR_SUFFIXES) and path.lstat().st_uid == os.getuid()
