"""What a worker competes with, read from files as the kernel writes them; what is not there is not known."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from perftui_agent.descriptors import number_open
from perftui_agent.probes.machine.contention import ContentionProbe
from perftui_agent.probes.machine.cpu_wait import CpuWaits
from perftui_agent.probes.machine.host import HostReader
from perftui_agent.probes.machine.pressure import KINDS, of_host, of_own_group
from perftui_agent.probes.machine.throttling import Throttling
from perftui_agent.small_files import NowAndThen
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.machine import Host, Machine, Pressure, Throttled

SECOND = 1_000_000_000


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1_000 * SECOND
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now_ns)
        monkeypatch.setattr(time, "monotonic", lambda: self.now_ns / 1e9)

    def goes_on(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def lay_out(root: Path, **files: str) -> None:
    """Write files below a root; `__` in a name is a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def groups(root: Path, own: str, files: dict[str, str]) -> None:
    """Write which groups this process is in, and files of groups."""
    named = {"proc/self/cgroup": own, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}
    lay_out(root, **{name.replace("/", "__"): text for name, text in named.items()})


def stat_2(periods: int, throttled: int, stopped_us: int) -> str:
    return (
        "usage_usec 81512\nuser_usec 60000\nsystem_usec 21512\ncore_sched.force_idle_usec 0\n"
        f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {stopped_us}\nnr_bursts 0\n"
    )


def test_throttling_of_version_2_is_told_from_its_second_reading_on(tmp_path: Path, clock: Clock) -> None:
    """A container's own group; what had happened before the agent looked is not of this second."""
    groups(tmp_path, "0::/\n", {"cpu.max": "50000 100000\n", "cpu.stat": stat_2(1000, 400, 20_000_000)})
    throttling = Throttling(str(tmp_path))
    assert throttling.read() is None
    clock.goes_on(1.0)
    groups(tmp_path, "0::/\n", {"cpu.stat": stat_2(1010, 409, 20_412_000)})
    assert throttling.read() == Throttled(cores=0.5, over_ns=SECOND, periods=10, throttled=9, ns=412_000_000)


def test_throttling_of_version_1_is_counted_in_other_units(tmp_path: Path, clock: Clock) -> None:
    """Nanoseconds, in a hierarchy of its own; the group is named."""
    own = "2:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"
    base = "cpu,cpuacct/docker/abc"
    quota = {f"{base}/cpu.cfs_quota_us": "150000\n", f"{base}/cpu.cfs_period_us": "100000\n"}
    groups(
        tmp_path,
        own,
        {**quota, f"{base}/cpu.stat": "nr_periods 5\nnr_throttled 1\nthrottled_time 70000000\n"},
    )
    throttling = Throttling(str(tmp_path))
    throttling.read()
    clock.goes_on(2.0)
    groups(tmp_path, own, {f"{base}/cpu.stat": "nr_periods 25\nnr_throttled 21\nthrottled_time 970000000\n"})
    assert throttling.read() == Throttled(
        cores=1.5, group="docker/abc", over_ns=2 * SECOND, periods=20, throttled=20, ns=900_000_000
    )


def test_the_quota_that_stops_longest_is_told(tmp_path: Path, clock: Clock) -> None:
    """A pod within a slice: either may have the quota that bites, and only one of them has."""
    own = "0::/app.slice/pod\n"

    def at(of_slice: tuple[int, int, int], of_pod: tuple[int, int, int]) -> dict[str, str]:
        return {
            "app.slice/cpu.max": "200000 100000\n",
            "app.slice/cpu.stat": stat_2(*of_slice),
            "app.slice/pod/cpu.max": "400000 100000\n",
            "app.slice/pod/cpu.stat": stat_2(*of_pod),
        }

    throttling = Throttling(str(tmp_path))
    groups(tmp_path, own, at((0, 0, 0), (0, 0, 0)))
    throttling.read()
    clock.goes_on(1.0)
    groups(tmp_path, own, at((10, 8, 500_000), (10, 1, 10_000)))
    told = throttling.read()
    assert told is not None
    assert (told.cores, told.group, told.throttled) == (2.0, "app.slice", 8)


def test_a_group_that_was_made_anew_counts_from_nothing(tmp_path: Path, clock: Clock) -> None:
    """Counters never run backwards."""
    throttling = Throttling(str(tmp_path))
    groups(tmp_path, "0::/\n", {"cpu.max": "50000 100000\n", "cpu.stat": stat_2(1000, 400, 9)})
    throttling.read()
    clock.goes_on(1.0)
    groups(tmp_path, "0::/\n", {"cpu.stat": stat_2(3, 1, 2)})
    assert throttling.read() is None
    clock.goes_on(1.0)
    groups(tmp_path, "0::/\n", {"cpu.stat": stat_2(13, 2, 1_000)})
    told = throttling.read()
    assert told is not None
    assert (told.periods, told.throttled, told.ns) == (10, 1, 998_000)


def test_a_quota_that_is_set_later_is_found(tmp_path: Path, clock: Clock) -> None:
    """An autoscaler changes a container's while it runs; lifted, it is no more."""
    groups(tmp_path, "0::/\n", {"cpu.max": "max 100000\n", "cpu.stat": stat_2(0, 0, 0)})
    throttling = Throttling(str(tmp_path))
    assert throttling.read() is None
    groups(tmp_path, "0::/\n", {"cpu.max": "30000 100000\n"})
    told = []
    for second in range(1, 6):
        clock.goes_on(1.0)
        groups(tmp_path, "0::/\n", {"cpu.stat": stat_2(10 * second, second, second)})
        told.append(throttling.read())
    assert [each.cores for each in told if each is not None] == [0.3, 0.3]
    groups(tmp_path, "0::/\n", {"cpu.max": "max 100000\n"})
    clock.goes_on(4.0)
    assert throttling.read() is None


@pytest.mark.parametrize(
    "stat", ["", "usage_usec 5\n", "nr_periods many\nnr_throttled 1\nthrottled_usec 1\n", "\xff\0"]
)
def test_a_group_that_does_not_tell_is_not_known(tmp_path: Path, clock: Clock, stat: str) -> None:
    """A quota alone says nothing of what it stops."""
    groups(tmp_path, "0::/\n", {"cpu.max": "50000 100000\n", "cpu.stat": stat})
    throttling = Throttling(str(tmp_path))
    throttling.read()
    clock.goes_on(1.0)
    assert throttling.read() is None


def psi(some_us: int, full_us: int | None = 0, avg10: float = 0.0) -> str:
    text = f"some avg10={avg10:.2f} avg60=0.00 avg300=0.00 total={some_us}\n"
    return text if full_us is None else text + f"full avg10=0.00 avg60=0.00 avg300=0.00 total={full_us}\n"


def test_pressure_is_a_share_of_the_time_since_it_was_read(tmp_path: Path, clock: Clock) -> None:
    """Of the first reading the kernel's own average; a machine as a whole always runs some task."""
    lay_out(tmp_path, proc__pressure__cpu=psi(5_000_000, avg10=12.5), proc__pressure__io=psi(0, 0))
    reader = of_host(str(tmp_path))
    assert reader.read() == {"cpu": Pressure(some=0.125), "io": Pressure(some=0.0, full=0.0)}
    clock.goes_on(4.0)
    lay_out(tmp_path, proc__pressure__cpu=psi(6_000_000), proc__pressure__io=psi(2_000_000, 1_000_000))
    assert reader.read() == {"cpu": Pressure(some=0.25), "io": Pressure(some=0.5, full=0.25)}


def test_pressure_in_the_own_group_is_told_apart(tmp_path: Path) -> None:
    """A quota stops everything in a group, and nothing of it runs: that is its full pressure."""
    files = {"pod/cgroup.procs": "1\n", "pod/cpu.pressure": psi(0, 0), "pod/memory.pressure": psi(0, None)}
    groups(tmp_path, "0::/pod\n", files)
    assert of_own_group(str(tmp_path)).read() == {
        "cpu": Pressure(some=0.0, full=0.0),
        "memory": Pressure(some=0.0),
    }


def test_a_kernel_without_pressure_has_none(tmp_path: Path) -> None:
    """It may be switched off: then the files are not there, or cannot be read."""
    assert of_host(str(tmp_path)).read() == {}
    assert of_own_group(str(tmp_path)).read() == {}
    lay_out(tmp_path, proc__pressure__cpu="Operation not supported\n")
    assert of_host(str(tmp_path)).read() == {}


def stat(user: int, idle: int, steal: int) -> str:
    line = f"{user} 0 0 {idle} 0 0 0 {steal} 0 0"
    return f"cpu  {line}\ncpu0 {line}\ncpu1 {line}\nintr 5 0\nctxt 7\n"


def test_a_host_tells_how_busy_it_is_and_what_is_stolen(tmp_path: Path) -> None:
    """Shares of all its processors' time since the last reading, of which the first has none."""
    lay_out(tmp_path, proc__loadavg="3.25 2.00 1.00 6/812 4242\n", proc__stat=stat(1000, 1000, 0))
    reader = HostReader(str(tmp_path))
    assert reader.read() == Host(cores=2, load=3.25, runnable=5)
    lay_out(tmp_path, proc__stat=stat(1060, 1010, 30))
    host = reader.read()
    assert host == Host(cores=2, load=3.25, runnable=5, busy=0.9, steal=0.3)


def test_a_host_that_tells_nothing_is_none(tmp_path: Path) -> None:
    """Other systems have other files."""
    assert HostReader(str(tmp_path)).read() is None


def test_many_processors_are_counted_by_python(tmp_path: Path) -> None:
    """Hundreds of lines are more than what is read."""
    line = "1 0 0 1 0 0 0 0 0 0"
    lay_out(tmp_path, proc__stat=f"cpu  {line}\n" + "".join(f"cpu{n} {line}\n" for n in range(400)))
    assert HostReader(str(tmp_path)).read() == Host(cores=os.cpu_count())


def test_the_thread_that_waits_longest_for_a_processor_is_told(tmp_path: Path, clock: Clock) -> None:
    """Of all but the agent's own; by the name that Python knows it by, else by its number."""
    own, main = threading.get_native_id(), 70_000_001

    def waited(**ns: int) -> None:
        lay_out(tmp_path, **{f"proc__self__task__{t[1:]}__schedstat": f"5 {n} 9\n" for t, n in ns.items()})

    waited(**{f"t{own}": 0, f"t{main}": 1 * SECOND, "t70000002": 0})
    waits = CpuWaits(str(tmp_path))
    assert waits.read() is None
    clock.goes_on(5.0)
    waited(**{f"t{own}": 4 * SECOND, f"t{main}": 3 * SECOND, "t70000002": SECOND, "t70000003": 4 * SECOND})
    told = waits.read()
    assert told is not None
    assert (told.over_ns, told.longest_ns, told.thread) == (5 * SECOND, 2 * SECOND, "thread 70000001")


def test_without_the_schedulers_account_no_wait_is_known(tmp_path: Path, clock: Clock) -> None:
    """Nobody has waited, or nobody tells: those are two things."""
    waits = CpuWaits(str(tmp_path))
    waits.read()
    clock.goes_on(5.0)
    assert waits.read() is None


def test_where_nothing_is_told_the_frame_has_nothing(tmp_path: Path) -> None:
    """Absent is not 0."""
    probe = ContentionProbe(str(tmp_path))
    assert probe.attach() == "off: a system without /proc"
    frame = Frame(seq=1, ended_at=0, span_ns=SECOND)
    probe.fill(frame)
    assert frame.machine is None


def test_what_is_asked_every_five_seconds_is_in_every_frame(tmp_path: Path, clock: Clock) -> None:
    """A gauge that is absent from a frame would be unknown in that second."""
    lay_out(tmp_path, proc__loadavg="1.00 1.00 1.00 2/8 1\n", proc__self__cgroup="0::/\n")
    probe = ContentionProbe(str(tmp_path))
    seen: list[Any] = []
    for load in ("1.00", "2.00", "3.00", "4.00", "5.00", "6.00"):
        lay_out(tmp_path, proc__loadavg=f"{load} 1.00 1.00 2/8 1\n")
        frame = Frame(seq=1, ended_at=0, span_ns=SECOND)
        probe.fill(frame)
        seen.append(frame.machine.host.load if frame.machine and frame.machine.host else None)
        clock.goes_on(1.0)
    assert seen == [1.0, 1.0, 1.0, 1.0, 1.0, 6.0]


def test_what_takes_long_is_asked_less_often(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand times what it has cost: 0.05 % of a core, however slow a machine tells."""
    cpu_s = [0.0]
    monkeypatch.setattr(time, "thread_time", lambda: cpu_s[0])
    asking = NowAndThen(1.0, 2_000)
    asked = []
    for second in range(30):
        if asking.is_due():
            asked.append(second)
            cpu_s[0] += 0.005
            asking.done()
        clock.goes_on(1.0)
    assert asked == [0, 10, 20]


def test_looking_at_the_machine_keeps_no_descriptor() -> None:
    """Promise 15: however often it looks, nothing stays open."""
    probe = ContentionProbe()
    probe.fill(Frame(seq=1, ended_at=0, span_ns=SECOND))
    before = number_open() or len(os.listdir("/proc/self/fd"))
    for seq in range(2, 22):
        probe.fill(Frame(seq=seq, ended_at=0, span_ns=SECOND))
    assert (number_open() or len(os.listdir("/proc/self/fd"))) == before


def test_this_machine_is_read_as_it_is() -> None:
    """The real files, once: whatever there is of them is sensible."""
    frame = Frame(seq=1, ended_at=0, span_ns=SECOND)
    ContentionProbe().fill(frame)
    machine = frame.machine or Machine()
    host = machine.host or Host()
    assert host.cores is None or 1 <= host.cores <= (os.cpu_count() or 1)
    for told in [*machine.pressure.values(), *host.pressure.values()]:
        assert 0.0 <= told.some <= 1.0
    assert {*machine.pressure, *host.pressure} <= set(KINDS)
