"""Who holds the GIL, as it is told of threads that are known to hold it, or not to."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import resource
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from perftui_agent.guard import Guard
from perftui_agent.probes.loop import gil
from perftui_agent.probes.loop.gil import GilProbe
from perftui_agent.records import RequestRecord
from perftui_agent.rhythm import BeatingSelector
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.gil import MAX_HOLDERS, GilHolder, GilStats, merged_gil

LOOK_FOR_S = 1.5
PAUSE_S = 0.03


class Eyes:
    """Knows a loop's thread, and the request that runs there."""

    def __init__(self, thread_id: int | None = None) -> None:
        self.thread_id = thread_id

    def loop_waits(self, frame: FrameType) -> bool:
        return frame.f_code.co_name == "wait"

    def request_on_loop(self) -> RequestRecord | None:
        record = RequestRecord()
        record.route = "GET /reports"
        return record

    def route_of(self, record: RequestRecord) -> str:
        return record.route


def wait(until: threading.Event) -> None:
    until.wait()


def burn(until: threading.Event) -> None:
    while not until.is_set():
        sum(range(1000))


def half(until: threading.Event) -> None:
    while not until.is_set():
        since = time.perf_counter()
        while time.perf_counter() - since < 0.01:
            pass
        # As long as it was at work, on a machine that may keep it waiting.
        until.wait(time.perf_counter() - since)


def compute_without_it(until: threading.Event) -> None:
    data = bytes(20_000_000)
    while not until.is_set():
        hashlib.sha256(data).digest()


def match(until: threading.Event) -> None:
    slow = re.compile(r"(a+)+$")
    while not until.is_set():
        slow.match("a" * 20 + "b")


@contextlib.contextmanager
def at_work(*jobs: Callable[[threading.Event], None]) -> Iterator[list[threading.Thread]]:
    """Have each job run in a thread of its own over the block."""
    until = threading.Event()
    threads = [threading.Thread(target=job, args=(until,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        until.set()
        for thread in threads:
            thread.join()


def looked(eyes: Eyes | None = None, moments: list[float] | None = None) -> GilStats:
    """Return what an agent's thread sees in a while, looking as often as it does in a busy process."""
    guard = Guard()
    probe = GilProbe(eyes or Eyes(), guard)
    assert probe.attach() == "on"
    probe._pause_s = PAUSE_S

    def beat() -> float:
        probe.look()
        return 0.05

    def wake() -> None:
        with BeatingSelector(beat, probe) as selector:
            until = time.monotonic() + LOOK_FOR_S
            while (now := time.monotonic()) < until:
                if moments is not None and probe.due_s not in moments:
                    moments.append(probe.due_s)
                selector.select(min(0.005, until - now))

    thread = threading.Thread(target=wake)
    thread.start()
    thread.join()
    assert not guard.faults
    frame = Frame(seq=1, ended_at=0, span_ns=1)
    probe.fill(frame)
    assert frame.gil is not None
    assert frame.gil.looks > 10
    return frame.gil


def held(stats: GilStats) -> float:
    return stats.held_ns / stats.over_ns


def test_in_an_idle_process_nobody_holds_it() -> None:
    """Threads that wait hold nothing."""
    with at_work(wait):
        assert held(looked()) < 0.15


def test_a_loop_in_python_holds_it_all_the_time() -> None:
    """And is named: its thread, without the number, and its function."""
    with at_work(burn):
        stats = looked()
    assert held(stats) > 0.85
    first = stats.by[0]
    assert first.thread == "Thread (burn)"
    assert first.where.endswith(" burn")
    assert first.looks > 0.8 * sum(each.looks for each in stats.by)


def test_who_works_half_of_the_time_holds_it_half_of_the_time() -> None:
    """Within what so few looks can tell, on a machine that does other things meanwhile."""
    with at_work(half):
        assert 0.2 < held(looked()) < 0.8


def test_who_computes_without_it_does_not_hold_it() -> None:
    """As numpy and hashlib do: a thread at 100 % CPU that nobody waits for."""
    with at_work(compute_without_it):
        assert held(looked()) < 0.2


def test_c_code_that_keeps_it_is_found_at_the_line_that_called_it() -> None:
    """A regular expression that backtracks lets nobody else run."""
    with at_work(match):
        stats = looked()
    assert held(stats) > 0.8
    assert stats.by[0].where.endswith(" match")


def test_where_two_want_it_nobody_else_has_it() -> None:
    """It is held all the time, by one of them or the other."""
    with at_work(burn, match):
        for _ in range(10):
            stats = looked()
            # Whoever is to have it next has to get a processor first: on a crowded machine nobody has it
            # until then, and who looks may come too late each time.
            if stats.by and held(stats) > 0.85:
                break
    assert held(stats) > 0.85
    theirs = [each.looks for each in stats.by if each.thread in {"Thread (burn)", "Thread (match)"}]
    assert sum(theirs) > 0.8 * sum(each.looks for each in stats.by) > 0


def test_a_holder_on_the_loop_is_told_with_its_route() -> None:
    """The request of the task that runs there."""
    with at_work(burn) as (thread,):
        stats = looked(Eyes(thread.ident))
    assert stats.by[0].route == "GET /reports"


def test_looks_come_at_random_moments() -> None:
    """With a look every so many ms sharp, what the app does as often would be seen always or never."""
    moments: list[float] = []
    looked(moments=moments)
    apart = sorted(later - earlier for earlier, later in itertools.pairwise(moments))
    assert apart[len(apart) * 9 // 10] - apart[len(apart) // 10] > PAUSE_S / 3


def faked(monkeypatch: pytest.MonkeyPatch, sleeps: list[int], moments: list[float]) -> GilProbe:
    """Return a probe whose thread has slept so often, at such moments, each time that it is asked."""
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_nvcsw=sleeps.pop(0)))
    monkeypatch.setattr(time, "monotonic", lambda: moments.pop(0))
    probe = GilProbe(Eyes(), Guard())
    probe.attach()
    probe._draw = lambda: 0.5
    probe._pause_s = 0.1
    return probe


def told(probe: GilProbe) -> GilStats | None:
    frame = Frame(seq=1, ended_at=0, span_ns=1)
    probe.fill(frame)
    return frame.gil


def test_a_second_sleep_is_a_wait_for_the_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is that which the clock has ended; without one nothing was waited for."""
    probe = faked(monkeypatch, [10, 11, 20, 22, 30, 30, 40, 44], [0.0, 0.01, 0.11, 0.21, 0.31])
    for _ in range(4):
        probe.woke(probe.asleep())
    assert told(probe) == GilStats(looks=3, over_ns=300_000_000, held_ns=200_000_000)
    assert told(probe) is None


def test_looks_that_were_due_while_it_waited_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of C code that keeps it, asked for every 5 ms; what is due in work of its own is none."""
    probe = faked(monkeypatch, [0, 100, 200, 201], [0.0, 0.51, 0.99])
    for _ in range(2):
        probe.woke(probe.asleep())
    assert told(probe) == GilStats(looks=7, over_ns=700_000_000, held_ns=600_000_000)
    assert probe.due_s > 0.99


def test_nothing_is_looked_at_before_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread wakes for much else, which says nothing of a random moment."""
    probe = faked(monkeypatch, [0, 5, 10, 15], [0.2, 0.1, 0.15])
    for _ in range(2):
        probe.woke(probe.asleep())
    assert told(probe) is None


def test_a_python_without_a_gil_has_nobody_who_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is known of it, and the probe says why."""
    monkeypatch.setattr("sys._is_gil_enabled", lambda: False, raising=False)
    probe = GilProbe(Eyes(), Guard())
    assert probe.attach() == "off: this Python runs without"
    probe.woke(probe.asleep())
    frame = Frame(seq=1, ended_at=0, span_ns=1)
    probe.fill(frame)
    assert frame.gil is None


def test_a_system_that_does_not_count_sleeps_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no such count of a thread's."""
    monkeypatch.setattr(gil, "_RUSAGE_THREAD", None)
    assert GilProbe(Eyes(), Guard()).attach() == "off: the system does not count a thread's waits"


def test_who_it_was_is_looked_for_as_often_as_it_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that took a millisecond rests for a second; held it is counted each time."""
    sleeps = [number for look in range(40) for number in (10 * look, 10 * look + 2)]
    probe = faked(monkeypatch, sleeps, [0.0, *(0.05 + look / 10 for look in range(40))])
    now_ns, cpu_ns, looks = [0], [0], []
    monkeypatch.setattr(gil, "perf_counter_ns", lambda: now_ns[0])
    monkeypatch.setattr(gil, "thread_time_ns", lambda: cpu_ns[0])

    def look(_: Any, stands_for: float) -> None:
        assert stands_for == pytest.approx(1.0)
        looks.append(now_ns[0])
        cpu_ns[0] += 1_000_000

    monkeypatch.setattr(GilProbe, "_look_who", look)
    for _ in range(40):
        probe.woke(probe.asleep())
        probe.look()
        now_ns[0] += 100_000_000
    assert looks == [number * 1_000_000_000 for number in range(4)]
    assert told(probe) == GilStats(looks=40, over_ns=4_000_000_000, held_ns=4_000_000_000)


def test_a_fault_of_a_look_costs_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 6: it is counted, and the look is held all the same."""
    probe = faked(monkeypatch, [10, 12], [0.0, 0.01])
    monkeypatch.setattr("sys._current_frames", lambda: None)
    probe.woke(probe.asleep())
    probe.look()
    assert probe._guard.faults == {"probes.gil": 1}
    assert told(probe) == GilStats(looks=1, over_ns=100_000_000, held_ns=100_000_000)


def test_lines_of_one_function_are_one_holder() -> None:
    """The line that was seen most often speaks for it; beyond a bound the rarest have no name."""
    older = GilStats(looks=20, held_ns=10, by=[GilHolder(thread="MainThread", where="a.py:7 f", looks=2.0)])
    newer = GilStats(looks=20, held_ns=5, by=[GilHolder(thread="MainThread", where="a.py:9 f", looks=3.0)])
    merged = merged_gil(older, newer)
    assert merged == GilStats(
        looks=40, held_ns=15, by=[GilHolder(thread="MainThread", where="a.py:9 f", looks=5.0)]
    )
    assert merged_gil(None, newer) is newer
    many = [GilHolder(thread=f"t{n:02}", looks=float(n)) for n in range(100)]
    bounded = merged_gil(GilStats(looks=100, by=many[:50]), GilStats(by=many[50:]))
    assert bounded is not None
    assert len(bounded.by) == MAX_HOLDERS
    assert bounded.by[-1].thread == ""
    assert sum(each.looks for each in bounded.by) == sum(range(100))
