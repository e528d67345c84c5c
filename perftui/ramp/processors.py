"""How busy the machine's processors were over a step: two readings of `/proc/stat`, and what lies between.

Takes the file's text, gives the share of the time that nobody else could have had. What runs at a nice value
gives way to a service and to what sends, so its time is as good as free; what a hypervisor kept is not.
Nothing where the system has no such file.
"""

from __future__ import annotations

from pathlib import Path

from perftui.ramp.resources import Kind
from perftui.record import Record

STAT = Path("/proc/stat")

MARGIN_S = 0.2
"""What sends tells of a step's last moment a little later."""


class Processors(Record, frozen=True):
    """Ticks of all processors together, since the machine began."""

    taken: int
    whole: int


def processors_in(text: str) -> Processors | None:
    """Return what the file says; None if it says nothing."""
    words = text.partition("\n")[0].split()
    if words[:1] != ["cpu"] or len(words) < 9:
        return None
    user, nice, system, idle, io_wait, irq, soft_irq, steal = map(int, words[1:9])
    taken = user + system + irq + soft_irq + steal
    return Processors(taken, taken + nice + idle + io_wait)


def processors_now() -> Processors | None:
    """Return what the system says now."""
    try:
        return processors_in(STAT.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def busy_between(before: Processors | None, after: Processors | None) -> float | None:
    """Return which part of the time was taken, 0…1; None where nobody knows."""
    if before is None or after is None or after.whole <= before.whole:
        return None
    return min(max((after.taken - before.taken) / (after.whole - before.whole), 0.0), 1.0)


class Meter:
    """Follows the processors over the counted part of a step, from one second of it to another."""

    def __init__(self, from_s: float, to_s: float) -> None:
        self._from_s, self._to_s = from_s, to_s
        self._first: Processors | None = None
        self._last: Processors | None = None

    def look(self, at_s: float) -> None:
        """Read them, so many seconds after the step began."""
        if self._from_s <= at_s <= self._to_s + MARGIN_S:
            self._last = processors_now()
            self._first = self._first or self._last

    @property
    def used(self) -> dict[Kind, float]:
        """How full they were; empty where nobody knows."""
        busy = busy_between(self._first, self._last)
        return {} if busy is None else {"cpu": busy}
