"""Which frames of one worker have arrived, by their `seq`.

A gap says that frames were lost, until they turn up after all (from a black box, say). A frame that
was there already must not count twice, or counters would show what never happened.
"""

from __future__ import annotations

from perftui.record import Record

MAX_GAPS = 200
"""Gaps told apart; beyond them the oldest are taken as lost for good."""


class Received(Record, frozen=True):
    """The frames from `first` to `last` have arrived, but for the `gaps`."""

    first: int = 0
    last: int = 0
    gaps: tuple[tuple[int, int], ...] = ()
    """Inclusive ranges that haven't arrived, lowest first; they never touch."""
    lost: int = 0
    """Frames in gaps too old to be told apart."""

    @property
    def dropped(self) -> int:
        """How many frames between the first and the last have not arrived."""
        return self.lost + sum(high - low + 1 for low, high in self.gaps)

    def with_frame(self, seq: int) -> Received | None:
        """Return what has arrived with `seq` as well; None if it had arrived before."""
        return self.with_frames(seq, seq)

    def with_frames(self, low: int, high: int) -> Received | None:
        """Return what has arrived with all of `low` to `high` as well; None if one of them had arrived."""
        if not self.last:
            return Received(low, high)
        if low > self.last:
            missing = ((self.last + 1, low - 1),) if low > self.last + 1 else ()
            return self._bounded(self.first, high, (*self.gaps, *missing))
        if high < self.first:
            missing = ((high + 1, self.first - 1),) if high + 1 < self.first else ()
            return self._bounded(low, self.last, (*missing, *self.gaps))
        return self._without_gap(low, high)

    def has(self, seq: int) -> bool:
        """Tell whether a frame has arrived."""
        return self.first <= seq <= self.last and not any(low <= seq <= high for low, high in self.gaps)

    def _without_gap(self, first: int, last: int) -> Received | None:
        for index, (low, high) in enumerate(self.gaps):
            if low <= first and last <= high:
                rest = tuple(gap for gap in ((low, first - 1), (last + 1, high)) if gap[0] <= gap[1])
                gaps = (*self.gaps[:index], *rest, *self.gaps[index + 1 :])
                return self._bounded(self.first, self.last, gaps)
        return None

    def _bounded(self, first: int, last: int, gaps: tuple[tuple[int, int], ...]) -> Received:
        lost = self.lost
        if len(gaps) > MAX_GAPS:
            low, high = gaps[0]
            lost += high - low + 1
            gaps = gaps[1:]
        return Received(first, last, gaps, lost)


NOTHING = Received()
