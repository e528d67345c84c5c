"""What a container lets this process have: cores and memory, from its control groups.

Reads version 2 and version 1, or both side by side. A group cannot use more than any group it is in, so
the least of all limits on the way up counts. Inside of a container the path to its own group may be one
of the host's, which isn't mounted there: then what is mounted is the container's own.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from perftui_agent.small_files import read_whole

MAX_DEPTH = 32
"""Groups within groups."""

NO_MEMORY_LIMIT = 1 << 60
"""Version 1 says so with the largest number of pages there could be."""

_UNIFIED = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
"""Where version 2 is mounted: by itself, or beside version 1."""

_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)

_KILLED = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)

_MAX_FILE_BYTES = 64 * 1024


class Limits(NamedTuple):
    """None: as much as the machine has."""

    cores: float | None
    memory_bytes: int | None


NO_LIMITS = Limits(None, None)


class Quota(NamedTuple):
    """How much CPU a group of this process, or one around it, may use in each of its periods."""

    directory: str
    name: str
    """Its path within the hierarchy; empty for what is mounted at the root."""
    cores: float


class Room(NamedTuple):
    """How much more memory there is before the kernel must end something."""

    bytes: int
    within: str
    """`container` or `host`."""


class Kills(NamedTuple):
    """How many processes the kernel has ended for lack of memory; None where it does not count."""

    in_group: int | None
    """In this process's group and all it is in, …"""
    on_host: int | None
    """… and on the whole host."""

    def in_group_since(self, before: Kills) -> bool:
        """Tell whether that in the group has risen."""
        return self.in_group is not None and before.in_group is not None and self.in_group > before.in_group

    def on_host_since(self, before: Kills) -> bool:
        """Tell whether that on the host has."""
        return self.on_host is not None and before.on_host is not None and self.on_host > before.on_host


def read_kills(root: str = "/") -> Kills:
    """Return the counters that rise when the kernel ends a process for lack of memory."""
    found: list[int] = []
    for controllers, path in _own_groups(root):
        if not controllers:
            mounts = [os.path.join(root, base) for base in ("sys/fs/cgroup", "sys/fs/cgroup/unified")]
            files = [
                os.path.join(group, "memory.events") for mount in mounts for group in _upwards(mount, path)
            ]
        elif "memory" in controllers:
            mount = _mounted(root, controllers, "memory")
            files = [os.path.join(group, "memory.oom_control") for group in _upwards(mount, path)]
        else:
            continue
        found += [int(each[1]) for file in files if (each := _KILLED.search(_read(file)))]
    host = _KILLED.search(_read(os.path.join(root, "proc/vmstat")))
    return Kills(sum(found) if found else None, int(host[1]) if host else None)


def read_limits(root: str = "/") -> Limits:
    """Return the limits of this process; `root` is where `proc` and `sys` are found."""
    memory: list[int] = []
    for controllers, path in _own_groups(root):
        if not controllers:
            for base in _UNIFIED:
                for group in _upwards(os.path.join(root, base), path):
                    memory += _numbers(group, "memory.max", 1)
        if "memory" in controllers:
            for group in _upwards(_mounted(root, controllers, "memory"), path):
                memory += _numbers(group, "memory.limit_in_bytes", 1)
    limits = [limit for limit in memory if limit < NO_MEMORY_LIMIT]
    cores = [quota.cores for quota in read_quotas(root)]
    return Limits(min(cores, default=None), min(limits, default=None))


def read_quotas(root: str = "/") -> list[Quota]:
    """Return every quota of CPU that holds for this process, its own group's first."""
    quotas = []
    for controllers, path in _own_groups(root):
        if not controllers:
            mounts = [os.path.join(root, base) for base in _UNIFIED]
        elif "cpu" in controllers:
            mounts = [_mounted(root, controllers, "cpu")]
        else:
            continue
        for mount in mounts:
            for group in _upwards(mount, path):
                name = group[len(mount) :].strip("/")
                quotas += [Quota(group, name, cores) for cores in _quota_of(group, bool(controllers))]
    return quotas


def own_group(root: str = "/") -> str | None:
    """Return the directory of the group of version 2 that this process is in; None where there is none."""
    for controllers, path in _own_groups(root):
        if not controllers:
            for base in _UNIFIED:
                for group in _upwards(os.path.join(root, base), path):
                    if os.path.exists(os.path.join(group, "cgroup.procs")):
                        return group
    return None


def _quota_of(group: str, version_1: bool) -> list[float]:
    if not version_1:
        return _quota(*_numbers(group, "cpu.max", 2))
    return _quota(*_numbers(group, "cpu.cfs_quota_us", 1), *_numbers(group, "cpu.cfs_period_us", 1))


def read_room(root: str = "/") -> Room | None:
    """Return how much more memory this process and all that share its bounds can take; None: unknown.

    What a group uses has the page cache in it, of which the inactive part is given up first.
    """
    rooms = [Room(left, "container") for left in _left_in_groups(root)]
    available = _AVAILABLE.search(_read(os.path.join(root, "proc/meminfo")))
    if available is not None:
        rooms.append(Room(int(available[1]) * 1024, "host"))
    return min(rooms, default=None)


def _left_in_groups(root: str) -> Iterator[int]:
    for controllers, path in _own_groups(root):
        if not controllers:
            mounts = [os.path.join(root, base) for base in _UNIFIED]
            names = ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers:
            mounts = [_mounted(root, controllers, "memory")]
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        for group in (group for mount in mounts for group in _upwards(mount, path)):
            limit, used = _numbers(group, names[0], 1), _numbers(group, names[1], 1)
            if limit and used and limit[0] < NO_MEMORY_LIMIT:
                yield max(0, limit[0] - max(0, used[0] - _inactive(group, names[2])))


def _inactive(group: str, name: str) -> int:
    found = re.search(rf"^{name} (\d+)$", _read(os.path.join(group, "memory.stat")), re.MULTILINE)
    return int(found[1]) if found is not None else 0


def _own_groups(root: str) -> Iterator[tuple[list[str], str]]:
    """Yield the controllers (none for version 2) and the path of each group this process is in."""
    for line in _read(os.path.join(root, "proc/self/cgroup")).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        yield [name for name in controllers.split(",") if name], path


def _mounted(root: str, controllers: list[str], controller: str) -> str:
    together = os.path.join(root, "sys/fs/cgroup", ",".join(controllers))
    return together if os.path.isdir(together) else os.path.join(root, "sys/fs/cgroup", controller)


def _upwards(mount: str, path: str) -> Iterator[str]:
    """Yield the directory of a group and of each one it is in, as far as they are mounted."""
    parts = [part for part in path.split("/") if part]
    if ".." in parts or len(parts) > MAX_DEPTH:
        parts = []
    for length in range(len(parts), -1, -1):
        yield os.path.join(mount, *parts[:length])


def _quota(*numbers: int) -> list[float]:
    """Return the cores that a quota and its period make; none without a quota."""
    if len(numbers) != 2 or numbers[0] <= 0 or numbers[1] <= 0:
        return []
    return [numbers[0] / numbers[1]]


def _numbers(group: str, name: str, count: int) -> list[int]:
    """Return the numbers in a file of a group; none if it says `max`, or is not there."""
    with contextlib.suppress(ValueError):
        numbers = [int(word) for word in _read(os.path.join(group, name)).split()]
        if len(numbers) == count:
            return numbers
    return []


def _read(path: str) -> str:
    return read_whole(path, _MAX_FILE_BYTES).decode(errors="replace")
