"""Which keys are fetched to be made: missed, and then stored. Only those are a cache's.

That a key is missed says nothing yet: many an app asks for keys that nobody ever stores, to see whether there
is a lock, a flag, a ban. So misses wait until somebody stores the key; then they are told of as misses of a
cache, and as a stampede if another request was at work on the key when they came. If the requests end
without that, they are forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perftui_agent.records import RequestRecord

MAX_KEYS = 2_000
"""Keys whose misses wait; beyond them the oldest are forgotten."""

MAX_REQUESTS = 50
"""Requests at work on one key that are told apart."""


@dataclass(slots=True)
class Made:
    """What a store says of the misses before it."""

    filled: int = 0
    """Misses of keys that are there now."""
    stampedes: int = 0
    """Those of them that came while another request was at work on the key."""


class _Missed:
    """One key that has been missed and not stored since."""

    __slots__ = ("made", "requests")

    def __init__(self) -> None:
        self.requests: list[RequestRecord] = []
        """Those that missed it."""
        self.made: dict[str, Made] = {}
        """By the name of the command that missed it."""


class MissedKeys:
    """Keys that requests at work have missed and that nobody has stored since."""

    def __init__(self) -> None:
        self._keys: dict[int, _Missed] = {}

    def missed(self, keys: Iterable[int], name: str, request: RequestRecord | None, moment_ns: int) -> None:
        """Note misses; outside of requests nobody is known to be at work."""
        if request is None:
            return
        for key in keys:
            missed = self._keys.get(key)
            if missed is None:
                if len(self._keys) >= MAX_KEYS:
                    del self._keys[next(iter(self._keys))]
                missed = self._keys[key] = _Missed()
            made = missed.made.setdefault(name, Made())
            made.filled += 1
            if any(other is not request and not 0 < other.ended_ns <= moment_ns for other in missed.requests):
                made.stampedes += 1
            if request not in missed.requests and len(missed.requests) < MAX_REQUESTS:
                missed.requests.append(request)

    def stored(self, keys: Iterable[int]) -> dict[str, Made]:
        """Return what the misses of these keys were, by the name of the command, now that they are there."""
        found: dict[str, Made] = {}
        for key in keys:
            missed = self._keys.pop(key, None)
            for name, made in (missed.made if missed is not None else {}).items():
                sum_of = found.setdefault(name, Made())
                sum_of.filled += made.filled
                sum_of.stampedes += made.stampedes
        return found

    def close(self) -> None:
        """Forget the keys whose requests are all done: who has not stored one by then never will.

        What a request makes after its response, in the background, it has made as well.
        """
        for key, missed in list(self._keys.items()):
            missed.requests = [request for request in missed.requests if not request.left_ns]
            if not missed.requests:
                del self._keys[key]
