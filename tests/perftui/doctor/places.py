"""Places for the checks to judge: `place(workers=(worker(7, yama=2),))`."""

from __future__ import annotations

from typing import Any

from perftui.doctor.examine import examine
from perftui.doctor.surroundings import Check, Directory, Surroundings, Worker
from perftui_agent.wire.standing import Machine, Rights, Standing, Trial

MACHINE = Machine(system="linux", kernel="6.1.0", libc="glibc", python="3.12.4")

DENIED = Trial(trace="EPERM", read="EPERM")

BOTH = {41: Trial(), 42: Trial()}


def machine(**said: Any) -> Machine:
    known = {name: getattr(MACHINE, name) for name in MACHINE.__struct_fields__}
    return Machine(**(known | said))


def standing(pid: int = 41, **said: Any) -> Standing:
    usual: dict[str, Any] = {
        "id": "s",
        "pid": pid,
        "rights": Rights(uid=1000),
        "machine": MACHINE,
        "spy": "/venv/bin/py-spy",
        "spy_version": "0.4.3",
        "trials": BOTH,
        "probes": {"ptrace": "on", "queue": "on"},
    }
    return Standing(**(usual | said))


def worker(pid: int = 41, **said: Any) -> Worker:
    usual: dict[str, Any] = {
        "pid": pid,
        "service": "shop",
        "agent": "0.1.0",
        "wire": 1,
        "python": "3.12.4",
        "standing": standing(pid),
    }
    return Worker(**(usual | said))


def place(**said: Any) -> Surroundings:
    usual: dict[str, Any] = {
        "perftui": "0.1.0",
        "machine": MACHINE,
        "rights": Rights(uid=1000),
        "spy": "/venv/bin/py-spy",
        "spy_version": "0.4.3",
        "directories": (Directory(path="/run/user/1000/perftui", chosen_by="XDG_RUNTIME_DIR"),),
        "workers": (worker(41), worker(42)),
    }
    return Surroundings(**(usual | said))


def said_of(where: Surroundings, name: str, pid: int | None = None) -> list[Check]:
    return [check for check in examine(where) if check.name == name and check.worker == pid]


def only(where: Surroundings, name: str, pid: int | None = None) -> Check:
    (check,) = said_of(where, name, pid)
    return check
