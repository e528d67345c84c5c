"""Garbage collections are timed, by generation, and listened to no longer than the agent runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from perftui_agent.probes.machine.garbage import GarbageProbe
from perftui_agent.probes.probe import ON
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import GcStats


@pytest.fixture
def probe() -> Iterator[GarbageProbe]:
    gc.disable()
    probe = GarbageProbe()
    assert probe.attach() == ON
    yield probe
    probe.detach()
    gc.enable()


def collected(probe: GarbageProbe) -> GcStats:
    frame = Frame(seq=1, ended_at=0, span_ns=1)
    probe.fill(frame)
    assert frame.gc is not None
    return frame.gc


def test_each_collection_counts_by_its_generation(probe: GarbageProbe) -> None:
    """Two young collections and a full one are told apart, and each has a pause."""
    gc.collect(0)
    gc.collect(0)
    gc.collect(2)
    stats = collected(probe)
    assert stats.collections == {0: 2, 2: 1}
    assert stats.pauses.count == 3
    assert 0 < stats.pauses.max <= stats.pauses.total


def test_a_collection_counts_in_one_frame_alone(probe: GarbageProbe) -> None:
    """The next frame begins at nothing: it was measured, and there was none."""
    gc.collect()
    collected(probe)
    assert collected(probe) == GcStats()


def test_attaching_twice_counts_once(probe: GarbageProbe) -> None:
    """A probe that is asked again does not listen twice."""
    probe.attach()
    gc.collect(1)
    assert collected(probe).collections == {1: 1}


def test_detaching_leaves_nothing_behind() -> None:
    """After the agent has stopped, the interpreter's callbacks are as they were."""
    before = list(gc.callbacks)
    probe = GarbageProbe()
    probe.attach()
    probe.detach()
    probe.detach()
    assert gc.callbacks == before


def test_pauses_nobody_fetches_are_bounded(probe: GarbageProbe) -> None:
    """When the agent's thread does not come by, only so many collections are kept."""
    for _ in range(20_000):
        probe._on_collection("start", {"generation": 0})
        probe._on_collection("stop", {"generation": 0})
    assert collected(probe).collections == {0: 10_000}
