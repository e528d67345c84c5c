"""Which life of which process a worker is, told by what no clock moves.

A pid comes again, and the wall clock is set: neither says who somebody is. The kernel notes when a process
started in ticks since the boot, and gives each boot and each pid namespace an id of its own; these never
move. Of a process in another pid namespace, or on another machine that shares the directory, `/proc` says
nothing: there its socket is asked, which answers across namespaces of one kernel.
"""

from __future__ import annotations

import os
import socket
import zlib
from typing import Literal, NamedTuple, TypeAlias

import psutil

from perftui_agent.wire.identity import WorkerIdentity

AGENT_THREAD = "perftui-agent"
"""What the system calls the agent's thread: who looks from outside sees that there is one."""

Verdict: TypeAlias = Literal["alive", "dead", "unknown"]

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

_CREATED_TOLERANCE_S = 1.0
"""Of a start on the wall clock: the system tells a hundredth, and moves every start when its clock is set."""


class Place(NamedTuple):
    """Where a pid means something: both empty where the system has no such thing, or does not show it."""

    boot_id: str = ""
    pid_namespace: str = ""


NOWHERE = Place()
"""Where nobody can tell one place from another, as in some sandboxes: a pid that is not here may be there."""


def here() -> Place:
    """Return where this process's own pid means something."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:
            boot_id = file.read(64).decode().strip()
        return Place(boot_id, os.readlink("/proc/self/ns/pid").strip("pid:[]"))
    except (OSError, ValueError):
        return Place()


def place_of(worker: WorkerIdentity) -> Place:
    """Return where a worker's pid means something."""
    return Place(worker.boot_id, worker.pid_namespace)


def own_start_ticks() -> int:
    """Return when this process started, in ticks since the boot; 0 where the system doesn't tell."""
    return _start_ticks("self")


def running_start_ticks(pid: int) -> int | None:
    """Return when a process of this place started; None if no such process runs."""
    return _start_ticks(str(pid)) or None


def sees_processes() -> bool:
    """Tell whether `/proc` is of this process's own pid namespace: it may be that of the one outside."""
    stat = stat_of("self")
    return stat is not None and stat[0] == os.getpid()


def judge(worker: WorkerIdentity, socket_path: str) -> Verdict:
    """Tell whether a worker still lives, as far as it can be told from here.

    `dead` is certain. `unknown`: its process can't be seen and its socket doesn't answer, but it may be
    about to make that again, or live on another machine.
    """
    if not worker.start_ticks:
        return _judge_by_creation(worker.pid, worker.started_at)
    own = here()
    if place_of(worker) == own and sees_processes():
        if running_start_ticks(worker.pid) == worker.start_ticks:
            return "alive"
        if own != NOWHERE:
            return "dead"
    elif worker.boot_id != own.boot_id:
        return "unknown"
    return _judge_by_socket(socket_path)


def has_agent(pid: int) -> bool:
    """Tell whether an agent runs in a process, as far as the system tells."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    return any(_name_of_thread(pid, thread) == AGENT_THREAD for thread in threads)


def _name_of_thread(pid: int, thread: str) -> str:
    try:
        with open(f"/proc/{pid}/task/{thread}/comm", "rb", buffering=0) as file:
            return file.read(64).decode(errors="replace").strip()
    except OSError:  # it has ended
        return ""


def judge_name(stem: str) -> Verdict:
    """Judge a worker of which nothing but the name of its files is known: see `file_stem`."""
    pid, _, rest = stem.partition("-")
    start, _, mark = rest.partition("-")
    if not mark:
        return _judge_by_creation(int(pid), float(start))
    own = here()
    if mark != place_mark(own) or not sees_processes():
        return "unknown"
    if running_start_ticks(int(pid)) == int(start):
        return "alive"
    return "dead" if own != NOWHERE else "unknown"


def file_stem(worker: WorkerIdentity) -> str:
    """Return what the files of a worker are called, up to the dot."""
    if not worker.start_ticks:
        return f"{worker.pid}-{worker.started_at:.2f}"
    return f"{worker.pid}-{worker.start_ticks}-{place_mark(place_of(worker))}"


def place_mark(place: Place) -> str:
    """Return a short word for a place."""
    # Not `hash`, which every process salts anew; not long, since a socket's path holds 100 bytes.
    return f"{zlib.crc32('/'.join(place).encode()):08x}"


def _judge_by_creation(pid: int, started_at: float) -> Verdict:
    """Judge where the system tells no ticks."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started_at) < _CREATED_TOLERANCE_S
        return "alive" if same and process.status() != psutil.STATUS_ZOMBIE else "dead"
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return "dead"
    except psutil.Error:
        return "alive"


def _judge_by_socket(path: str) -> Verdict:
    with socket.socket(socket.AF_UNIX) as knock:
        knock.setblocking(False)
        try:
            knock.connect(path)
        except ConnectionRefusedError:
            return "dead"  # whoever had bound it has ended
        except BlockingIOError:
            return "alive"  # others wait at the door
        except (OSError, ValueError):
            return "unknown"
    return "alive"


def _start_ticks(process: str) -> int:
    stat = stat_of(process)
    return 0 if stat is None or stat[1] in {"Z", "X"} else stat[2]


def stat_of(process: str) -> tuple[int, str, int] | None:
    """Return the pid, the state and the start of a process; None if it can't be read."""
    try:
        with open(f"/proc/{process}/stat", "rb", buffering=0) as file:
            data = file.read(4096)
        # The name is in parentheses and may hold any.
        after_name = data.rpartition(b")")[2].split()
        return int(data.partition(b" ")[0]), after_name[0].decode(), int(after_name[19])
    except (OSError, ValueError, IndexError):
        return None
