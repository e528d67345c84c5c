"""Which routes wait on purpose: those the app names, and those that are seen to.

Seen is a pattern, not a hunch: requests of the route that take long wait for news (see `news`) whenever one
looks, and answer as a success at the very moment when the time-out is over that the app has given them. An
endpoint that sleeps for as long each time, ten seconds and more, waits on purpose, too. Whoever waits for
work to be done ends when it is done, and fails at its time-out. Where that can't be told, the route is one
like any other, and `instrument(long_polls=[…])` can say so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns
from typing import NamedTuple

from perftui_agent.probes.http.news import Wait
from perftui_agent.records import RequestRecord
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.parts import RouteLabel

DECLARED, SEEN = "declared", "seen"

MAX_ROUTES = 100
"""Routes whose long requests are followed; more than that don't wait on purpose."""

MAX_REQUESTS = 200
"""Requests in flight that are followed."""

KEPT = 20
"""Endings of a route that are held against each other."""

ENDINGS = 3
"""So many in their own time are no chance."""

ON_PURPOSE = 0.8
"""Of its long requests: the others may be looked at in the midst of something."""

EARLY, LATE = 0.98, 1.05
GRACE_NS = 1_000_000_000
"""How near to its time-out an answer comes: the loop may be late, and there is something to write."""

UNSURE_NS = 3_000_000_000
"""Where only the length of the time-out is known, not when it began: a request that is asked from its second
second on may have begun to wait by then."""

LONG_NAP_NS = 10_000_000_000
SAME = 0.03
"""Naps of one length differ by less."""


@dataclass(slots=True)
class _Followed:
    """One long request."""

    wait: Wait | None
    ends_at_ns: int | None
    """At which age its time-out is over."""
    exact: bool


class _Ending(NamedTuple):
    """How one long request of a route ended."""

    in_its_time: bool
    """Answered, as the time-out was over that it had waited for news with."""
    nap_ns: int = 0
    """Answered, after having slept: how long it took."""


class LongPolls:
    """Follows the requests that take long; on the agent's thread."""

    def __init__(self, declared: Iterable[RouteLabel] = ()) -> None:
        self._declared = frozenset(declared)
        self._endings: dict[RouteLabel, deque[_Ending]] = {}
        self._seen: set[RouteLabel] = set()
        self._followed: dict[RequestRecord, _Followed] = {}

    def kind(self, route: RouteLabel) -> str:
        """Return how it is known that a route waits on purpose; empty if it isn't."""
        if route in self._declared:
            return DECLARED
        return SEEN if route in self._seen else ""

    def note(self, asked: Iterable[RequestRecord], waits: Mapping[RequestRecord, Wait]) -> None:
        """Take what requests were found to wait for; those without a wait were at something else."""
        now = perf_counter_ns()
        for record in asked:
            wait = waits.get(record)
            known = self._followed.get(record)
            if known is None:
                if len(self._followed) >= MAX_REQUESTS:
                    continue
                self._followed[record] = _followed(record, wait, now)
            elif known.wait is not None:
                # What was once at work on something doesn't only wait, whatever it does now.
                self._followed[record] = _followed(record, wait, now)

    def mark(self, frame: Frame) -> None:
        """Learn from those that have ended, and say in `frame` which routes wait on purpose."""
        for record in [record for record in self._followed if record.ended_ns]:
            self._learn(record, self._followed.pop(record))
        for route in frame.routes:
            route.long_poll = self.kind(route.route)

    def _learn(self, record: RequestRecord, followed: _Followed) -> None:
        ending = _ending_of(record, followed)
        if ending is None:
            return
        endings = self._endings.get(record.route)
        if endings is None:
            if len(self._endings) >= MAX_ROUTES:
                return
            endings = self._endings[record.route] = deque(maxlen=KEPT)
        endings.append(ending)
        purposeful = sum(each.in_its_time for each in endings) + _alike(endings)
        if purposeful >= max(ENDINGS, ON_PURPOSE * len(endings)):
            self._seen.add(record.route)
        elif purposeful < (1.0 - ON_PURPOSE) * len(endings):
            self._seen.discard(record.route)


def _ending_of(record: RequestRecord, followed: _Followed) -> _Ending | None:
    """Return how a long request ended; None if that says nothing: there was news, or its client left."""
    if followed.wait is None:
        return _Ending(in_its_time=False)
    if record.disconnected:
        return None
    answered, age_ns = record.status < 400, record.ended_ns - record.arrived_ns
    if followed.wait.kind == "nap":
        return _Ending(in_its_time=False, nap_ns=age_ns if answered else 0)
    if not answered:
        return _Ending(in_its_time=False)
    return _Ending(in_its_time=True) if _in_its_time(followed, age_ns) else None


def _alike(endings: Iterable[_Ending]) -> int:
    """Return how many slept for as long as the others, if they are enough to tell, and it was long."""
    naps = sorted(each.nap_ns for each in endings if each.nap_ns)
    if len(naps) < ENDINGS:
        return 0
    usual = naps[len(naps) // 2]
    same = sum(abs(nap - usual) <= SAME * usual for nap in naps)
    return same if usual >= LONG_NAP_NS and same >= ENDINGS else 0


def _followed(record: RequestRecord, wait: Wait | None, now: int) -> _Followed:
    if wait is None:
        return _Followed(None, None, exact=True)
    if wait.ends_in_s is not None:
        asked_ns = (wait.read_ns or now) - record.arrived_ns
        return _Followed(wait, asked_ns + int(wait.ends_in_s * 1e9), exact=True)
    return _Followed(wait, None if wait.within_s is None else int(wait.within_s * 1e9), exact=False)


def _in_its_time(followed: _Followed, age_ns: int) -> bool:
    """Say whether a request ended when its time-out was over."""
    due_ns = followed.ends_at_ns
    if due_ns is None:
        return False
    latest_ns = LATE * due_ns + GRACE_NS + (0 if followed.exact else UNSURE_NS)
    return EARLY * due_ns <= age_ns <= latest_ns
