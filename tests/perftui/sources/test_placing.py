"""Promise 21: frames of one worker stay one second apart, whatever its wall clock or ours does."""

from __future__ import annotations

import msgspec
import pytest

from perftui.clock import Axis
from perftui.sources.placing import Placing
from perftui_agent.wire.frames import Frame, Hello
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence, Incident
from perftui_agent.wire.lives import here
from perftui_agent.wire.requests import SlowRequest
from tests.perftui.test_clock import SECOND_NS, Clocks


def worker(boot_id: str) -> WorkerIdentity:
    return WorkerIdentity(
        host="box", pid=7, started_at=1.0, service="shop", supervisor_pid=1, start_ticks=5, boot_id=boot_id
    )


def ended(clocks: Clocks, seq: int = 1) -> Frame:
    """Return what an agent with these clocks closes now."""
    wall_ns, steady_ns = clocks.read()
    return Frame(
        seq=seq,
        ended_at=wall_ns,
        steady_ns=steady_ns,
        span_ns=SECOND_NS,
        incidents=[Incident(kind="loop-blocked", at=wall_ns - SECOND_NS // 2, ns=1, where="a.py:1 f")],
        evidence=[Evidence(id="e", kind="worker-silent", at=wall_ns - 7, taken_at=wall_ns - 6)],
        slowest=[
            SlowRequest(
                id="1", route="GET /", method="GET", path="/", status=200, ended_at=wall_ns - 5, total_ns=1
            )
        ],
    )


def seconds(frames: list[Frame]) -> list[float]:
    return [frame.ended_at / SECOND_NS for frame in frames]


def run(clocks: Clocks, placing: Placing, step_s: float) -> tuple[list[Frame], list[float]]:
    """Let an agent close five frames, and set its clock after the second."""
    placed, steps = [], []
    for seq in range(1, 6):
        clocks.go_on(1)
        if seq == 3:
            clocks.wall_s += step_s
        frame, step = placing.place_live(ended(clocks, seq))
        placed.append(frame)
        steps.append(step)
    return placed, steps


def test_as_long_as_no_clock_is_set_frames_are_left_alone() -> None:
    """The very same object: thousands of strings need not be looked at."""
    clocks = Clocks()
    placing = Placing(worker(here().boot_id), Axis(clocks.read))
    clocks.go_on(1)
    frame = ended(clocks)
    assert placing.place_live(frame) == (frame, 0.0)
    assert placing.place(frame) is frame
    jittery = msgspec.structs.replace(frame, steady_ns=frame.steady_ns - 3_000_000)
    assert placing.place(jittery) is jittery, "two readings of the clocks lie milliseconds apart at worst"


@pytest.mark.parametrize("step_s", [-600.0, 600.0, -1.3])
@pytest.mark.parametrize("boot_id", [here().boot_id, "another machine's"])
def test_a_step_of_the_workers_clock_moves_no_frame_and_is_told_once(step_s: float, boot_id: str) -> None:
    """Nor what is told in it; of this machine and of another alike."""
    clocks = Clocks()
    placed, steps = run(clocks, Placing(worker(boot_id), Axis(clocks.read)), step_s)
    first = 1_800_000_001.0
    assert seconds(placed) == pytest.approx([first + place for place in range(5)], abs=1e-6)
    assert [frame.incidents[0].at / SECOND_NS for frame in placed] == pytest.approx(
        [first - 0.5 + place for place in range(5)], abs=1e-6
    )
    assert placed[-1].slowest[0].ended_at == pytest.approx(placed[-1].ended_at - 5)
    assert placed[-1].evidence[0].at == placed[-1].slowest[0].ended_at - 2
    assert placed[-1].evidence[0].taken_at == placed[-1].slowest[0].ended_at - 1
    assert steps == pytest.approx([0, 0, step_s, 0, 0])


def test_a_step_before_the_first_frame_is_told_too() -> None:
    """The clock is set right after hello: a frame may be a second away."""
    clocks = Clocks()
    placing = Placing(worker(here().boot_id), Axis(clocks.read))
    clocks.go_on(0.3)
    said_at, steady_ns = clocks.read()
    placing.greet(Hello(wire=1, worker=worker(here().boot_id), said_at=said_at, steady_ns=steady_ns))
    clocks.wall_s -= 600
    placed, steps = run(clocks, placing, 0)
    first = 1_800_000_001.3
    assert seconds(placed) == pytest.approx([first + place for place in range(5)], abs=1e-6)
    assert steps == pytest.approx([-600, 0, 0, 0, 0])


def test_frames_from_before_a_step_meet_those_from_after_it() -> None:
    """An agent that started before the clock was set, and a dashboard that was opened afterwards."""
    clocks = Clocks()
    clocks.go_on(1)
    earlier = ended(clocks)
    clocks.wall_s -= 600
    clocks.go_on(1)
    placing = Placing(worker(here().boot_id), Axis(clocks.read))
    later = ended(clocks, 2)
    assert seconds([placing.place(earlier), placing.place(later)]) == pytest.approx(
        [1_799_999_401.0, 1_799_999_402.0]
    )


def test_a_steady_clock_that_is_not_ours_after_all_is_not_gone_by() -> None:
    """Some tools give a process clocks of its own: by one its now lies far off, by the other it does not."""
    clocks, theirs = Clocks(), Clocks()
    theirs.steady_s = 10.0
    placing = Placing(worker(here().boot_id), Axis(clocks.read))
    placed, steps = run(theirs, placing, 0)
    assert seconds(placed) == pytest.approx([1_800_000_001.0 + place for place in range(5)], abs=1e-6)
    assert steps == [0] * 5


def test_an_agent_without_a_steady_clock_is_believed_as_before() -> None:
    """Frames of older agents, and of recordings of theirs."""
    frame = Frame(seq=1, ended_at=5 * SECOND_NS, span_ns=SECOND_NS)
    placing = Placing(worker(here().boot_id), Axis(Clocks().read))
    assert placing.place_live(frame) == (frame, 0.0)
