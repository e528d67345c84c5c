"""A quota of CPU for running processes, where a control group may be made.

That takes root and a hierarchy that is mounted for writing, of either version.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

GROUPS = Path("/sys/fs/cgroup")

PERIOD_US = 100_000
"""The kernel's usual one."""

Pid: TypeAlias = int


def why_not() -> str:
    """Return why no group with a quota may be made here; empty where it may."""
    try:
        with _group("perftui-may-i") as group:
            _limit(group, 1.0)
    except OSError as error:
        return f"no control group with a quota may be made here: {error}"
    return ""


@contextlib.contextmanager
def limited(cores: float, *pids: Pid) -> Iterator[str]:
    """Have these processes share so many cores; yield the name of their group."""
    with _group(f"perftui-quota-{pids[0]}") as group:
        _limit(group, cores)
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        yield group.name


@contextlib.contextmanager
def _group(name: str) -> Iterator[Path]:
    version_1 = (GROUPS / "cpu/cpu.cfs_quota_us").exists()
    mount = GROUPS / "cpu" if version_1 else GROUPS
    if not version_1:
        (mount / "cgroup.subtree_control").write_text("+cpu")
    group = mount / name
    group.mkdir()
    try:
        yield group
    finally:
        # Whoever still lives goes back to where it came from: a group that is not empty stays.
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (mount / "cgroup.procs").write_text(pid)
        _remove(group)


def _remove(group: Path) -> None:
    for _ in range(50):
        try:
            group.rmdir()
        except OSError:  # the last of them is just going
            time.sleep(0.02)
        else:
            return
    group.rmdir()


def _limit(group: Path, cores: float) -> None:
    quota_us = round(cores * PERIOD_US)
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota_us))
