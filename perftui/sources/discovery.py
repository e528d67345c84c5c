"""Who is there: the workers whose agents have registered on this host.

Reads the runtime directories of this user (of every user, when root), believes an entry only if its
process still runs and is the one that wrote it: a recycled pid has another start. Of another pid namespace's
processes nothing can be seen from here: there the worker's socket is asked.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from perftui.clock import AXIS
from perftui.model.text import clean, clean_text
from perftui.record import Record
from perftui_agent.wire.lives import TICKS_A_SECOND, here, judge
from perftui_agent.wire.registration import Registration, read_registrations, runtime_dirs
from perftui_agent.wire.services import same_service

_OTHER_USERS = ("/tmp/perftui-*", "/run/user/*/perftui")  # noqa: S108 - each is refused unless private


class Discovery(Record, frozen=True):
    """The workers there are, and the directories that could not be read."""

    registrations: tuple[Registration, ...]
    unreadable: tuple[str, ...] = ()
    """Why, one sentence each."""
    elsewhere: tuple[str, ...] = ()
    """Workers that can't be reached from here, and why, one sentence each."""


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
    elsewhere: list[str] = []
    for directory in directories() if where is None else where:
        try:
            for _, registration in read_registrations(directory):
                if is_alive(registration):
                    found.setdefault(registration.worker.id, _with_start(registration))
                elif reason := _why_not_reached(registration):
                    elsewhere.append(clean(reason))
        except OSError as error:
            reason = error.strerror or str(error)
            unreadable.append(reason if str(directory) in reason else f"{directory}: {reason}")
    # A path is not to be read but to be opened.
    cleaned = tuple([replace(clean(each), socket=each.socket) for each in found.values()])
    return Discovery(cleaned, tuple(map(clean_text, unreadable)), tuple(elsewhere))


def is_alive(registration: Registration) -> bool:
    """Tell whether this very process still runs, here or where its socket can be reached from here."""
    return judge(registration.worker, registration.socket) == "alive"


def _with_start(registration: Registration) -> Registration:
    """Return a registration with the start of its worker on our time axis: its own clock may be another."""
    worker = registration.worker
    if not worker.start_ticks or worker.boot_id != here().boot_id:
        return registration
    started_at = worker.start_ticks / TICKS_A_SECOND + AXIS.offset_ns / 1e9
    return replace(registration, worker=replace(worker, started_at=started_at))


def _why_not_reached(registration: Registration) -> str:
    """Return why a worker that may well live isn't listed; empty for one that is dead."""
    worker = registration.worker
    if worker.start_ticks and worker.boot_id != here().boot_id:
        return f"worker {worker.pid} of {worker.service} runs on another machine, or did: host {worker.host}"
    return ""


def may_connect(path: str) -> bool:
    """Tell whether a socket belongs to this user or root; for root, to whose directory it is in."""
    try:
        info, parent = os.lstat(path), os.lstat(os.path.dirname(path))
    except OSError:
        return False
    trusted = {os.getuid(), 0} | ({parent.st_uid} if os.getuid() == 0 else set())
    return stat.S_ISSOCK(info.st_mode) and info.st_uid in trusted


class Service(Record, frozen=True):
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
        related = [group for group in groups if any(same_service(registration, other) for other in group)]
        merged = [registration, *(each for group in related for each in group)]
        groups = [group for group in groups if group not in related] + [merged]
    found = [
        Service(group[0].worker.service, tuple(sorted(group, key=lambda each: each.worker.pid)))
        for group in groups
    ]
    return tuple(sorted(found, key=lambda service: (service.name, service.target)))
