"""A container's limits are read from its control groups, whichever way they are mounted."""

from __future__ import annotations

from pathlib import Path

import pytest

from perftui_agent.probes.machine.cgroup import Limits, Room, read_limits, read_room

GIB = 1 << 30
UNLIMITED_V1 = "9223372036854771712\n"


def limits(root: Path, groups: str, files: dict[str, str]) -> Limits:
    """Lay out `files` below `sys/fs/cgroup` and read the limits of a process in these `groups`."""
    for name, text in {
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{k}": v for k, v in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_limits(str(root))


def test_a_container_with_its_own_namespace(tmp_path: Path) -> None:
    """Version 2: the group of the container is the root of what it sees."""
    files = {"cpu.max": "150000 100000\n", "memory.max": "536870912\n"}
    assert limits(tmp_path, "0::/\n", files) == Limits(1.5, GIB // 2)


def test_the_least_of_all_limits_counts(tmp_path: Path) -> None:
    """Version 2 on a host: a service cannot have more than the slice it is in."""
    files = {
        "app.slice/cpu.max": "200000 100000\n",
        "app.slice/memory.max": "1073741824\n",
        "app.slice/shop.service/cpu.max": "400000 100000\n",
        "app.slice/shop.service/memory.max": "max\n",
    }
    assert limits(tmp_path, "0::/app.slice/shop.service\n", files) == Limits(2.0, GIB)


def test_no_limit_is_none(tmp_path: Path) -> None:
    """`max` is as much as the machine has."""
    files = {"a/cpu.max": "max 100000\n", "a/memory.max": "max\n"}
    assert limits(tmp_path, "0::/a\n", files) == Limits(None, None)


def test_version_1(tmp_path: Path) -> None:
    """Each controller has a tree of its own."""
    groups = "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"
    files = {
        "memory/docker/abc/memory.limit_in_bytes": "268435456\n",
        "memory/memory.limit_in_bytes": UNLIMITED_V1,
        "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "50000\n",
        "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    assert limits(tmp_path, groups, files) == Limits(0.5, GIB // 4)


def test_version_1_without_limits(tmp_path: Path) -> None:
    """The largest possible number and a quota of -1 are no limits."""
    groups = "4:memory:/\n2:cpu:/\n"
    files = {
        "memory/memory.limit_in_bytes": UNLIMITED_V1,
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
    }
    assert limits(tmp_path, groups, files) == Limits(None, None)


def test_a_path_of_the_hosts_that_is_not_mounted(tmp_path: Path) -> None:
    """Without a namespace the container knows its path on the host, and sees its own group as the root."""
    files = {"memory/memory.limit_in_bytes": "268435456\n"}
    assert limits(tmp_path, "4:memory:/kubepods/pod1/abc\n", files) == Limits(None, GIB // 4)


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    """Version 2 may be mounted beside version 1, and limit what that does not."""
    groups = "4:memory:/a\n0::/b\n"
    files = {"memory/a/memory.limit_in_bytes": "268435456\n", "unified/b/cpu.max": "300000 100000\n"}
    assert limits(tmp_path, groups, files) == Limits(3.0, GIB // 4)


@pytest.mark.parametrize(
    ("groups", "quota"),
    [
        ("0::/../../..\n", "100000 100000"),
        ("0::/" + "a/" * 5000 + "\n", "100000 100000"),
    ],
)
def test_a_path_that_leads_out_is_not_followed(tmp_path: Path, groups: str, quota: str) -> None:
    """Then only what is mounted at the root is believed."""
    assert limits(tmp_path, groups, {"cpu.max": quota}) == Limits(1.0, None)


@pytest.mark.parametrize("text", ["", "lots", "1 2 3", "100000 0", "-1 100000"])
def test_what_is_not_understood_is_no_limit(tmp_path: Path, text: str) -> None:
    """A file of another make is as good as none."""
    assert limits(tmp_path, "0::/\nnonsense\n", {"cpu.max": text}) == Limits(None, None)


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    """On other systems nothing of this exists."""
    assert read_limits(str(tmp_path)) == Limits(None, None)


def room(root: Path, groups: str, files: dict[str, str], available_kb: int | None = 4096) -> Room | None:
    """Lay out `files` and the host's memory, and read how much is left."""
    limits(root, groups, files)
    if available_kb is not None:
        (root / "proc/meminfo").write_text(f"MemTotal:  9999 kB\nMemAvailable:  {available_kb} kB\n")
    return read_room(str(root))


def test_what_is_left_in_a_container_is_its_limit_less_what_it_uses(tmp_path: Path) -> None:
    """All that is in it together, without the page cache that is given up first."""
    files = {
        "memory.max": "1000000\n",
        "memory.current": "700000\n",
        "memory.stat": "anon 5\ninactive_file 100000\n",
    }
    assert room(tmp_path, "0::/\n", files) == Room(400_000, "container")


def test_what_is_left_in_a_container_of_version_1(tmp_path: Path) -> None:
    """The same by other names."""
    files = {
        "memory/memory.limit_in_bytes": "1000000\n",
        "memory/memory.usage_in_bytes": "700000\n",
        "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 100000\n",
    }
    assert room(tmp_path, "4:memory:/\n", files) == Room(400_000, "container")


def test_a_host_with_less_than_the_container_may_take_is_what_counts(tmp_path: Path) -> None:
    """And without a limit it is the host in any case."""
    files = {"memory.max": f"{GIB}\n", "memory.current": "0\n"}
    assert room(tmp_path, "0::/\n", files) == Room(4096 * 1024, "host")
    assert room(tmp_path, "0::/\n", {"memory.max": "max\n"}) == Room(4096 * 1024, "host")


def test_what_nobody_tells_of_is_not_known(tmp_path: Path) -> None:
    """Without a limit and without the host's word."""
    assert room(tmp_path, "0::/\n", {"memory.max": "max\n"}, None) is None
