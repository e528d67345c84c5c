"""Who watches whom, and when silence is silence: no process is asked here, no file is read.

Workers stand in a ring in the order of their pids, and each watches the next. If that one is silent it also
watches the one behind, and so on to the first that is not: so a silent worker has one that watches it, and
nobody has to agree on anything. Where two see it otherwise for a moment, a claim decides (`claim`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias, TypeVar

Worker = TypeVar("Worker")

Place: TypeAlias = tuple[int, int]
"""A worker's pid and start: its place in the ring."""

SUSPECT_NS = 1_000_000_000
"""From here on a worker's CPU times are noted, so that there is something to compare with."""

SILENT_NS = 2_000_000_000
"""Eight signs of life that did not come. uvicorn ends a worker after 5 s."""

AWAY_NS = 1_000_000_000
"""A watcher that has not looked for so long was away itself: stopped, or with its own GIL held."""

GRACE_NS = 600_000_000
"""After that everybody has so long to give a sign: a container that was paused is silent altogether."""


def watched_by(own: Place, others: Iterable[tuple[Place, Worker]]) -> list[Worker]:
    """Return the others in the order in which they are watched: the next in the ring first."""
    ordered = sorted(((place > own, place), worker) for place, worker in others if place != own)
    behind = [worker for (is_behind, _), worker in ordered if is_behind]
    before = [worker for (is_behind, _), worker in ordered if not is_behind]
    return behind + before


def looked_at(
    ring: Iterable[Worker], silent_ns: Callable[[Worker], int | None]
) -> Iterator[tuple[Worker, int]]:
    """Yield those who are to be looked at and how long each has been silent: up to the first that lives.

    Those who give no signs at all (`None`: an older agent, a file that is gone) are passed over.
    """
    for worker in ring:
        for_ns = silent_ns(worker)
        if for_ns is None:
            continue
        yield worker, for_ns
        if for_ns < SUSPECT_NS:
            return


class Awake(NamedTuple):
    """Since when a watcher has been awake, which it must have been for what it has not seen."""

    since_ns: int
    looked_ns: int

    def looks(self, now_ns: int) -> Awake:
        """Return how it is with a look at `now_ns`."""
        return Awake(now_ns if now_ns - self.looked_ns > AWAY_NS else self.since_ns, now_ns)

    def may_judge(self, now_ns: int) -> bool:
        """Tell whether others have had the time to give a sign."""
        return now_ns - self.since_ns >= GRACE_NS
