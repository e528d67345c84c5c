"""Lays the frames of one worker on the time axis of this perftui.

Each frame says when it ended on the worker's wall clock and on its steady one. The wall clock may be set in
between, there or here; what the steady one says of the processes of this boot is the same clock as ours. Of
another machine's it is known how far apart two moments are, and the first frame says where they lie.
"""

from __future__ import annotations

import msgspec

from perftui.clock import AXIS, Axis
from perftui_agent.wire.frames import Frame, Hello
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.lives import here

_SECOND_NS = 1_000_000_000

_SNAP_NS = 20_000_000
"""Frames end at whole seconds of the wall clock, and bins begin there: a few microseconds between two
readings of a clock must not carry a frame into the bin before its own."""

_STEP_NS = _SECOND_NS
"""A wall clock that has moved by more against the steady one was set."""

_OWN_CLOCK_NS = 5 * _SECOND_NS
"""A live frame that seems so far from now, and by its wall clock is not, has a steady clock of its own."""


_STRANGE_CLOCK_NS = 2 * _SECOND_NS
"""Another machine whose wall clock says so much else than ours is not believed when its frames end."""


class Placing:
    """Where the frames of one worker belong."""

    def __init__(self, worker: WorkerIdentity, axis: Axis = AXIS) -> None:
        self._axis = axis
        shared = bool(worker.boot_id) and worker.boot_id == here().boot_id
        self._offset_ns = axis.offset_ns if shared else None
        """Between its steady clock and the axis."""
        self._shift_ns = 0
        """By how much the last frame had to be moved: none has to until a clock is set."""
        self._lead_ns: int | None = None
        """Of its wall clock over its steady one, in its last live frame."""
        self._greeted_ns: int | None = None
        """The same as it said hello."""

    def place(self, frame: Frame) -> Frame:
        """Return a frame with its moments on the axis; the same object wherever they are there already."""
        if not frame.steady_ns:
            return frame
        if self._offset_ns is None:
            self._offset_ns = frame.ended_at - frame.steady_ns
        shift_ns = frame.steady_ns + self._offset_ns - frame.ended_at
        whole = round(shift_ns / _SECOND_NS) * _SECOND_NS
        if abs(shift_ns - self._shift_ns) <= _SNAP_NS:
            shift_ns = self._shift_ns  # what is told in several frames has the same moment in all of them
        elif abs(shift_ns - whole) <= _SNAP_NS:
            shift_ns = whole
        self._shift_ns = shift_ns
        return _shifted(frame, shift_ns) if shift_ns else frame

    def greet(self, hello: Hello) -> None:
        """Take in how its clocks stood before its first live frame."""
        if not hello.steady_ns:
            return
        self._greeted_ns = hello.said_at - hello.steady_ns
        now_ns = int(self._axis.now() * 1e9)
        if self._offset_ns is None and abs(hello.said_at - now_ns) > _STRANGE_CLOCK_NS:
            # It has come within a moment: how long that took is less than its clock is wrong by.
            self._offset_ns = now_ns - hello.steady_ns

    def place_live(self, frame: Frame) -> tuple[Frame, float]:
        """Return a frame that has just come, placed, and by how many seconds its wall clock was set."""
        if not frame.steady_ns:
            return frame, 0.0
        lead_ns, before_ns = frame.ended_at - frame.steady_ns, self._lead_ns
        self._lead_ns = lead_ns
        if before_ns is None and self._offset_ns is not None:
            now_ns = self._axis.now() * 1e9
            far = abs(frame.steady_ns + self._offset_ns - now_ns) > _OWN_CLOCK_NS
            wall_ns = now_ns + self._axis.wall_ahead_s() * 1e9
            if far and abs(frame.ended_at - wall_ns) < _OWN_CLOCK_NS:
                self._offset_ns = lead_ns
        if before_ns is None:
            before_ns = self._greeted_ns
        step_ns = lead_ns - before_ns if before_ns is not None else 0
        return self.place(frame), step_ns / 1e9 if abs(step_ns) > _STEP_NS else 0.0


def _shifted(frame: Frame, by_ns: int) -> Frame:
    return msgspec.structs.replace(
        frame,
        ended_at=max(0, frame.ended_at + by_ns),
        incidents=[msgspec.structs.replace(each, at=max(0, each.at + by_ns)) for each in frame.incidents],
        evidence=[_moved(each, by_ns) for each in frame.evidence],
        slowest=[
            msgspec.structs.replace(each, ended_at=max(0, each.ended_at + by_ns)) for each in frame.slowest
        ],
    )


def _moved(evidence: Evidence, by_ns: int) -> Evidence:
    taken_at = evidence.taken_at
    return msgspec.structs.replace(
        evidence,
        at=max(0, evidence.at + by_ns),
        taken_at=None if taken_at is None else max(0, taken_at + by_ns),
    )
