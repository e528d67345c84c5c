"""Keeps the last fifteen minutes of frames where they outlive the worker.

Takes each frame as it is closed; gives those there are to a client that connects. The newest minutes are kept
second by second, older ones as frames of ten seconds, each in half of the file: a busy worker whose frames
are large keeps less time, never more bytes. Evidence is kept apart as well, in an eighth, until newer needs
the room: what happened an hour ago is what one comes for. And when something grave happens, the minute before
and after it is kept second by second in a quarter of the box, where what goes on doesn't reach it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from perftui_agent.blackbox.grave import is_grave
from perftui_agent.blackbox.keeping import Keeping
from perftui_agent.blackbox.ring import Ring
from perftui_agent.wire.boxes import envelope, turning_point
from perftui_agent.wire.codec import encode, encode_history
from perftui_agent.wire.fitting import MAX_FRAME_BYTES, fitted
from perftui_agent.wire.frames import Frame, History
from perftui_agent.wire.merging import merge_into

COARSE_NS = 10_000_000_000
"""How much time one thinned frame covers: ten seconds of the clock on the wall, as charts have them.

Ten frames of a hair less than a second are less than ten seconds, and took an eleventh: by and by one of the
tens had no frame, which every chart drew as a gap.
"""

FRAME_NS = 1_000_000_000

FINE_FRAMES = 100
"""Frames given to a client second by second: it tells as many seconds apart, and adds up what is older."""

FRAMES_AT_LEAST = 4
"""So many of the largest frames have room in each half of a box."""

LEAST_FRAME_BYTES = 16 * 1024
"""A frame is not cut to less than this: of a box that is too small for it, nothing is left."""

MAX_EVIDENCE_BYTES, EVIDENCE_SHARE = 1024 * 1024, 8
"""So much of a box, and no more than this part of it, is for evidence."""

MAX_FROZEN_BYTES, FROZEN_SHARE = 2 * 1024 * 1024, 4
"""The same for seconds around what was grave."""

AROUND_NS = 60_000_000_000
"""So much before and after it is kept."""

LONGEST_NS = 180_000_000_000
"""What goes on is kept from its beginning, for so long: its end is among the newest minutes anyway."""

HISTORY_NS = 900_000_000_000
"""How far back history goes."""


COPIED_AT_ONCE = 1024 * 1024


class BlackBox:
    """The box of this worker. Belongs to the agent's thread."""

    def __init__(self, path: Path, *, hello: bytes, size_bytes: int, keeping: Keeping | None = None) -> None:
        """Create the file, `size_bytes` at most; OSError if that can't be done."""
        self.path = path
        self._descriptor = _made(path)
        introduction = envelope(hello)
        os.pwrite(self._descriptor, introduction, 0)
        kept = min(MAX_EVIDENCE_BYTES, max(0, size_bytes - len(introduction)) // EVIDENCE_SHARE)
        frozen = min(MAX_FROZEN_BYTES, max(0, size_bytes - len(introduction) - kept) // FROZEN_SHARE)
        half = max(0, size_bytes - len(introduction) - kept - frozen) // 2
        self._fine = Ring(self._descriptor, len(introduction), half)
        self._coarse = Ring(self._descriptor, len(introduction) + half, half)
        self._evidence = Ring(self._descriptor, len(introduction) + 2 * half, kept)
        self._frozen = Ring(self._descriptor, len(introduction) + 2 * half + kept, frozen)
        self._grave_from = self._grave_at = self._frozen_until = 0
        """Since when, and when last, there was something grave; until when seconds are kept for it."""
        self._keeping = keeping or Keeping()
        self._growing: Frame | None = None
        self.frame_bytes = min(MAX_FRAME_BYTES, max(LEAST_FRAME_BYTES, half // FRAMES_AT_LEAST))
        """A frame that is to be kept has no more."""

    def add(self, frame: Frame, encoded: bytes) -> bool:
        """Keep `frame`, which is given up here; False if it, or those merged, are too large for the box."""
        kept = self._keep_evidence(frame)
        self._freeze(frame, encoded)
        kept = self._fine.append(frame.moment_ns, encoded) and kept
        next_ends_at = frame.ended_at + frame.span_ns
        is_last = (next_ends_at - 1) // COARSE_NS != (frame.ended_at - 1) // COARSE_NS
        if self._growing is None:
            self._growing = frame
        else:
            merge_into(self._growing, frame)
        if is_last or self._growing.span_ns >= COARSE_NS + FRAME_NS:
            self._growing.thinned = True
            merged = fitted(self._growing, self.frame_bytes)
            kept = self._coarse.append(self._growing.moment_ns, merged) and kept
            self._growing = None
        return kept

    def history(self, now_ns: int) -> list[bytes]:
        """Return the frames of the last fifteen minutes as they travel, oldest first, none twice.

        `now_ns` is on the clock of `Frame.moment_ns`. Thinned frames come first, up to the end of one of
        them from which on there is every second.
        """
        turn = turning_point(self._coarse.stamps(), self._fine.stamps()[-FINE_FRAMES:])
        coarse = self._coarse.messages(after=now_ns - HISTORY_NS, until=turn)
        return coarse + self._fine.messages(after=max(turn, now_ns - HISTORY_NS), until=now_ns + FRAME_NS)

    def evidence(self) -> list[bytes]:
        """Return what was kept of evidence, each piece as a message, oldest first."""
        return self._evidence.messages(after=0, until=2**63)

    def _keep_evidence(self, frame: Frame) -> bool:
        """Keep what is known to its end: until then it is told again."""
        whole = [History(evidence=[each]) for each in frame.evidence if each.outcome]
        return sum(self._evidence.append(frame.moment_ns, encode(each)) for each in whole) == len(whole)

    def _freeze(self, frame: Frame, encoded: bytes) -> None:
        """Keep a frame that is near to something grave, and those before it once that has happened."""
        at = frame.moment_ns
        asked = self._keeping.take()
        if asked or is_grave(frame):
            # Asked for, it is something else that begins, whatever goes on already.
            if asked or at - self._grave_at > AROUND_NS:
                self._grave_from = at
                after = max(at - AROUND_NS, self._frozen_until)
                for earlier in self._fine.messages(after=after, until=at - 1):
                    self._frozen.append(at, encode_history([earlier], last=False))
            self._grave_at = at
            self._frozen_until = min(at + AROUND_NS, self._grave_from + LONGEST_NS)
        if at <= self._frozen_until:
            self._frozen.append(at, encode_history([encoded], last=False))

    def is_there(self) -> bool:
        """Tell whether whoever looks for the box would find this one."""
        try:
            there, ours = os.lstat(self.path), os.fstat(self._descriptor)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def make_again(self, path: Path) -> None:
        """Make the file anew, there or elsewhere, with all that it held: its name is gone, not its bytes."""
        made = _made(path)
        try:
            at = 0
            while piece := os.pread(self._descriptor, COPIED_AT_ONCE, at):
                at += os.pwrite(made, piece, at)
            os.dup2(made, self._descriptor, inheritable=False)
        finally:
            os.close(made)
        self.path = path

    def close(self) -> None:
        """Close the file, which stays where it is."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def remove(self) -> None:
        """Remove the file: a worker that stops in order leaves nothing behind."""
        with contextlib.suppress(OSError):
            self.path.unlink()


def _made(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
