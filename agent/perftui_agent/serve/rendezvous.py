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

from perftui_agent.listeners import ListeningSocket, addresses
from perftui_agent.wire.frames import WIRE_VERSION
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.lives import file_stem, judge, judge_name
from perftui_agent.wire.registration import (
    MAX_SOCKET_PATH_BYTES,
    Registration,
    StacksOnSignal,
    UnsafeRuntimeDirError,
    check_private,
    encode_registration,
    fallback_dir,
    read_registration,
    read_registrations,
    runtime_dir,
)

_OUR_SUFFIXES = (".json", ".sock", ".ring", ".stacks", ".pulse", ".claim", ".look", ".locks", ".new")

KEPT_BOXES = 8
KEPT_BOX_S = 3600.0

OLD_S = 3600.0
"""What can't be judged from here is left alone, unless nobody has touched it for so long."""

TOUCHED_EVERY_S = 600.0
"""Cleaners of temporary files take what is old."""

_NAME = re.compile(
    r"(\d{1,10}-\d{1,20}-[0-9a-f]{8})(?:\.(?:json|sock|stacks|pulse|new)|\.[0-9a-f]{1,16}\.claim)"
)
"""What a worker's files are called, but for its black box: pid, start, place. A claim is of one silence."""

_NAME_BY_CLOCK = re.compile(r"(\d{1,10}-\d{1,12}\.\d{2})\.(?:json|sock|stacks|pulse|new)")
"""Where the system tells no ticks."""


class Rendezvous:
    """This worker's entry in the runtime directory."""

    def __init__(self, worker: WorkerIdentity, directory: str | None = None) -> None:
        """Find the directory, or make it; OSError if that can't be done safely."""
        self._worker = worker
        self._stem = file_stem(worker)
        self._chosen = Path(directory) if directory else None
        self._registration: Registration | None = None
        self._written: tuple[int, int, int] | None = None
        self._touched_at = time.monotonic()
        self._withdrawn = False
        self.stacks: StacksOnSignal | None = None
        """Where this worker writes its stacks on a signal, if it does: told with the next entry."""
        self._settle(private_directory(self._chosen or runtime_dir()))

    def _settle(self, directory: Path) -> None:
        socket_dir = self._directory = directory
        if len(os.fsencode(socket_dir / f"{self._stem}.sock")) > MAX_SOCKET_PATH_BYTES:
            socket_dir = private_directory(fallback_dir(os.getuid()))
        self.socket_path = socket_dir / f"{self._stem}.sock"
        self._path = self._directory / f"{self._stem}.json"
        self.box_path = self._directory / f"{self._stem}.ring"
        self.stacks_path = self._directory / f"{self._stem}.stacks"
        self.pulse_path = self._directory / f"{self._stem}.pulse"

    def is_there(self) -> bool:
        """Tell whether the entry can still be read where it was written, by whom it concerns."""
        try:
            check_private(self._directory)
            return _identity_of(self._path) == self._written
        except OSError:
            return False

    def files_as_they_are(self) -> tuple[object, ...] | None:
        """Return what changes whenever a file comes, goes or is replaced, or who may; None if all are gone.

        Not what is written into one; and what goes within the same tick of the file system's clock, 4 ms, may
        have been seen already.
        """
        try:
            infos = [os.stat(each) for each in {self._directory, self.socket_path.parent}]
        except OSError:
            return None
        return tuple([(info.st_dev, info.st_ino, info.st_ctime_ns) for info in infos])

    def settle_again(self) -> None:
        """Find the directory anew, or make it again; where it is not ours any more, take the fallback.

        Afterwards the paths are others, or the same with nothing there. Raises OSError if neither will do.
        """
        self._written = None
        try:
            self._settle(private_directory(self._chosen or runtime_dir()))
        except OSError:
            self._settle(private_directory(fallback_dir(os.getuid())))

    def publish(self, listening: Iterable[ListeningSocket] = ()) -> bool:
        """Write the registration with the addresses as they are; True if anything had changed."""
        if self._withdrawn:  # by another thread, as the app stops
            return False
        tcp, unix = addresses(listening, without=str(self.socket_path))
        registration = Registration(
            wire=WIRE_VERSION,
            worker=self._worker,
            socket=str(self.socket_path),
            tcp=tcp,
            unix=unix,
            stacks=self.stacks,
        )
        if registration == self._registration and self.is_there():
            self._touch()
            return False
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode_registration(registration))
        os.replace(temporary, self._path)
        self._written = _identity_of(self._path)
        self._registration = registration
        return True

    def _touch(self) -> None:
        """Let nobody think that these are left over."""
        if time.monotonic() - self._touched_at >= TOUCHED_EVERY_S:
            self._touched_at = time.monotonic()
            for path in (self._path, self.socket_path, self.box_path, self.stacks_path):
                with contextlib.suppress(OSError):
                    os.utime(path, follow_symlinks=False)

    def withdraw(self) -> None:
        """Remove what was written, for good. Never raises: it runs while the host app stops."""
        self._withdrawn = True
        files = (self._path, self.socket_path, self.box_path, self.stacks_path, self.pulse_path)
        for path in (*files, self._path.with_suffix(".new")):
            with contextlib.suppress(OSError):
                path.unlink()

    @property
    def directory(self) -> Path:
        """Where the entries are."""
        return self._directory

    def siblings(self) -> list[Registration]:
        """Return the registrations in the same directory, this worker's own included."""
        return [registration for _, registration in read_registrations(self._directory)]

    def sweep(self) -> int:
        """Remove what workers have left that are no more; return how many such workers there were.

        Those that live in another pid namespace or on another machine are left alone. The black boxes of
        the dead stay for an hour, the newest eight of them: somebody will want to know.
        """
        dead = {
            stem
            for directory in {self._directory, self.socket_path.parent}
            for name in os.listdir(directory)
            if (stem := _stem_of(name)) and stem != self._stem and self._is_dead(stem, directory / name)
        }
        for directory in {self._directory, self.socket_path.parent}:
            for stem in dead:
                for ending in ("json", "sock", "stacks", "pulse", "new"):
                    with contextlib.suppress(OSError):
                        (directory / f"{stem}.{ending}").unlink()
                for claim in directory.glob(f"{stem}.*.claim"):
                    with contextlib.suppress(OSError):
                        claim.unlink()
        for turn in (*self._directory.glob("*.look"), *self._directory.glob("*.locks")):
            # When somebody looked at a database last: of no use for longer than seconds.
            if self._age_s(turn) > OLD_S:
                with contextlib.suppress(OSError):
                    turn.unlink()
        self._sweep_boxes()
        return len(dead)

    def _is_dead(self, stem: str, path: Path) -> bool:
        """Tell whether a worker has left its files; from their name alone, if it came to write no entry."""
        entry = read_registration(self._directory / f"{stem}.json")
        verdict = judge(entry.worker, entry.socket) if entry is not None else judge_name(stem)
        return verdict == "dead" or (verdict == "unknown" and self._age_s(path) > OLD_S)

    def _age_s(self, path: Path) -> float:
        """Return how long ago a file was written, by the clock of the file system: it may be another's."""
        try:
            return _modified(self._path, time.time()) - path.lstat().st_mtime
        except OSError:  # it is gone
            return 0.0

    def _sweep_boxes(self) -> None:
        living = {f"{file_stem(entry.worker)}.ring" for _, entry in read_registrations(self._directory)}
        living.add(self.box_path.name)
        dead = [path for path in self._directory.glob("*.ring") if path.name not in living]
        by_age = sorted((self._age_s(path), path) for path in dead)
        for place, (age_s, path) in enumerate(by_age):
            if place >= KEPT_BOXES or age_s > KEPT_BOX_S:
                with contextlib.suppress(OSError):
                    path.unlink()


def _identity_of(path: Path) -> tuple[int, int, int]:
    info = os.lstat(path)
    return info.st_dev, info.st_ino, info.st_size  # an inode comes again as soon as it is free


def _modified(path: Path, otherwise: float) -> float:
    try:
        os.utime(path, follow_symlinks=False)
        return path.lstat().st_mtime
    except OSError:
        return otherwise


def _stem_of(name: str) -> str:
    """Return what all files of the worker begin with that a file is of; empty if it is no worker's."""
    named = _NAME.fullmatch(name) or _NAME_BY_CLOCK.fullmatch(name)
    return named[1] if named is not None else ""


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
