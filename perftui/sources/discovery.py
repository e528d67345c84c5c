"""Who is there: the workers whose agents have registered on this host.

Reads the runtime directories of this user (of every user, when root), believes an entry only if its
process still runs and is the one that wrote it: a recycled pid has another start time.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from perftui.model.text import clean
from perftui_agent.wire.frames import WorkerIdentity
from perftui_agent.wire.registration import Registration, read_registrations, runtime_dirs

_START_TIME_TOLERANCE_S = 1.0
"""The system tells a start to a hundredth; when its clock is set, every start moves a little."""

_OTHER_USERS = ("/tmp/perftui-*", "/run/user/*/perftui")  # noqa: S108 - each is refused unless private


@dataclass(frozen=True, slots=True)
class Discovery:
    """The workers there are, and the directories that could not be read."""

    registrations: tuple[Registration, ...]
    unreadable: tuple[str, ...] = ()
    """Why, one sentence each."""


def directories() -> list[Path]:
    """Return the directories to look in."""
    found = runtime_dirs()
    if os.getuid() == 0 and not os.environ.get("PERFTUI_RUNTIME_DIR"):
        found += [Path(path) for pattern in _OTHER_USERS for path in sorted(glob.glob(pattern))]
    return list(dict.fromkeys(found))


def discover(where: Sequence[Path] | None = None) -> Discovery:
    """Return the live workers registered in `where`, by default wherever this user may look."""
    found: dict[str, Registration] = {}
    unreadable: list[str] = []
    for directory in directories() if where is None else where:
        try:
            for _, registration in read_registrations(directory):
                if is_alive(registration.worker):
                    found.setdefault(registration.worker.id, registration)
        except OSError as error:
            reason = error.strerror or str(error)
            unreadable.append(reason if str(directory) in reason else f"{directory}: {reason}")
    return Discovery(tuple(clean(each) for each in found.values()), tuple(unreadable))


def is_alive(worker: WorkerIdentity) -> bool:
    """Tell whether this very process still runs."""
    try:
        process = psutil.Process(worker.pid)
        same = abs(process.create_time() - worker.started_at) < _START_TIME_TOLERANCE_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
    except psutil.Error:
        return True


def may_connect(path: str) -> bool:
    """Tell whether a socket belongs to this user or root; for root, to whose directory it is in."""
    try:
        info, parent = os.lstat(path), os.lstat(os.path.dirname(path))
    except OSError:
        return False
    trusted = {os.getuid(), 0} | ({parent.st_uid} if os.getuid() == 0 else set())
    return stat.S_ISSOCK(info.st_mode) and info.st_uid in trusted


@dataclass(frozen=True, slots=True)
class Service:
    """Workers that belong together: of one name, below one supervisor or on one address."""

    name: str
    workers: tuple[Registration, ...]

    @property
    def tcp(self) -> tuple[str, ...]:
        """The addresses it listens on."""
        return tuple(sorted({address for worker in self.workers for address in worker.tcp}))

    @property
    def unix(self) -> tuple[str, ...]:
        """The Unix sockets it listens on."""
        return tuple(sorted({path for worker in self.workers for path in worker.unix}))

    @property
    def target(self) -> str:
        """What to type to look at it."""
        for address in self.tcp:
            host, _, port = address.rpartition(":")
            wild = host in {"0.0.0.0", "[::]"}  # noqa: S104 - read, not bound
            return f"localhost:{port}" if wild or host in {"127.0.0.1", "[::1]"} else address
        for path in self.unix:
            return f"unix:{path}"
        return f"pid:{self.workers[0].worker.supervisor_pid or self.workers[0].worker.pid}"


def services(registrations: Iterable[Registration]) -> tuple[Service, ...]:
    """Return the services that `registrations` make up, by name and first address."""
    groups: list[list[Registration]] = []
    for registration in registrations:
        related = [group for group in groups if any(_related(registration, other) for other in group)]
        merged = [registration, *(each for group in related for each in group)]
        groups = [group for group in groups if group not in related] + [merged]
    found = [
        Service(group[0].worker.service, tuple(sorted(group, key=lambda each: each.worker.pid)))
        for group in groups
    ]
    return tuple(sorted(found, key=lambda service: (service.name, service.target)))


def _related(one: Registration, other: Registration) -> bool:
    if one.worker.service != other.worker.service:
        return False
    same_address = {*one.tcp, *one.unix} & {*other.tcp, *other.unix}
    # Servers started from one shell have that shell as their parent, but not a port in common.
    unknown_yet = not (one.tcp or one.unix) or not (other.tcp or other.unix)
    same_supervisor = one.worker.supervisor_pid == other.worker.supervisor_pid
    return bool(same_address) or (same_supervisor and unknown_yet)
