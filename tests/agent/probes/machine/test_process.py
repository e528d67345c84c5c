"""The worker's process as the system sees it."""

from __future__ import annotations

import os
import resource

import pytest

from perftui_agent.probes.machine import process
from perftui_agent.probes.machine.cgroup import Room
from perftui_agent.probes.machine.process import ProcessProbe
from perftui_agent.wire.frames import Frame


def test_the_first_reading_has_all_but_a_rate() -> None:
    """CPU in percent needs two readings; the rest is there at once."""
    frame = Frame(seq=1, ended_at=0, span_ns=1)
    ProcessProbe().fill(frame)
    process = frame.process
    assert process.cpu_percent is None
    assert process.rss_bytes is not None
    assert process.rss_bytes > 1 << 20
    assert process.threads is not None
    assert process.threads >= 1
    assert process.cpu_user_s is not None
    assert process.cpu_system_s is not None
    assert 0 < process.cpu_user_s + process.cpu_system_s <= sum(os.times()[:2]) + 0.1
    assert process.open_files_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_open_files_are_counted() -> None:
    """Descriptors count, whatever they are of."""
    before = ProcessProbe().read().open_files
    ends = os.pipe()
    try:
        after = ProcessProbe().read().open_files
    finally:
        for end in ends:
            os.close(end)
    assert before is not None
    assert after == before + 2


def test_the_second_reading_has_a_rate() -> None:
    """What was computed between two readings is the rate of the second."""
    probe = ProcessProbe()
    probe.read()
    sum(range(3_000_000))
    percent = probe.read().cpu_percent
    assert percent is not None
    assert percent > 0


def test_what_memory_is_left_is_asked_anew_when_it_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every five seconds, and at once when there is a good deal less than a moment ago."""
    asked: list[Room] = []

    def read_room() -> Room:
        asked.append(Room(1 << 30, "host"))
        return asked[-1]

    monkeypatch.setattr(process, "read_room", read_room)
    sizes = iter([100_000_000, 101_000_000, 103_000_000, 107_500_000])
    monkeypatch.setattr(ProcessProbe, "_memory_and_threads", lambda _probe: (next(sizes), 5))
    probe = ProcessProbe()
    for _ in range(3):
        assert probe.read().memory_left_bytes == 1 << 30
    assert len(asked) == 1
    assert probe.read().memory_left_in == "host"
    assert len(asked) == 2
