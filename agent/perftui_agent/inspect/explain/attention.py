"""Has slow statements explained of the agent's own accord: each once, and now and then again while it is so.

Looks at each frame as it is closed, off the request path; asks one at a time, and not often.
What has become known goes out with the frames in which the statement is slow.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import msgspec

from perftui_agent.guard import Guard
from perftui_agent.inspect.explain.explainer import CannotExplainError, Explainer
from perftui_agent.sketch import bucket_bounds
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import StatementFrame

MOST_WAITING = 50
MOST_MET = 1_000

BURST, PER_SECOND = 10, 0.5
"""Statements that are explained at once, and from then on. One takes 10 to 30 ms of a database."""

AGAIN_S = 300.0
"""A statement that is slow still is looked at again: its plan may be another by now."""

SOONER_S = 5.0
"""One that had become quick, and is slow as a habit now, or takes far longer than when it was asked for, has
another plan, and is not to wait for that."""

FAR_LONGER = 3
"""Times the longest that it had taken by then."""

FAR_QUICKER = 3
"""Times as quick as the quickest of the runs for which it was asked: who reads a table whole is never so."""

MOST_FAILED = 3
"""How often one is asked for as soon that could not be explained: a database is locked for a while."""

FADES = 0.8
"""How much of what was counted is left with each frame in which a statement ran."""

HABIT, HABIT_SHARE, NO_HABIT = 1.5, 0.05, 0.5
"""Executions that were slow, two of the last few at least, and their share: as `missing-index` goes by."""

STAGGER_S = 0.5
"""Workers of a service see the same statements slow: that they do not all try to be the one at once."""

MOST_TOLD = 20
"""Plans in a frame, those of the statements that were slow most often."""


class _Met(msgspec.Struct):
    """A statement that has been slow."""

    asked_at: float
    slow: float = 0.0
    count: float = 0.0
    longest_ns: int = 0
    """What it had taken when it was asked for."""
    quickest_ns: int = 0
    """The same, of its quickest run then."""
    failed: int = 0
    """How often in a row it could not be explained."""
    is_habit: bool = True
    """Until it is quick: its first slow execution may be the first of many."""
    has_become_quick: bool = False
    """Since it was asked for: a plan that wants an index may be of before there was one."""

    def fade(self, statement: StatementFrame) -> None:
        """Take what it did in a second."""
        self.slow = FADES * self.slow + statement.slow
        self.count = FADES * self.count + max(statement.latency.count, statement.slow)
        if self.is_habit and self.slow < NO_HABIT:
            self.is_habit, self.has_become_quick = False, True

    def apart_s(self, statement: StatementFrame) -> float:
        """Return how long after it was asked for it may be asked for again."""
        has_become_one = not self.is_habit and self.slow >= HABIT and self.slow >= HABIT_SHARE * self.count
        takes_longer = statement.latency.max > FAR_LONGER * self.longest_ns
        sooner = has_become_one or takes_longer or 0 < self.failed <= MOST_FAILED
        return SOONER_S if sooner else AGAIN_S


class Attention:
    """What a worker does about its slow statements. Belongs to the agent's loop."""

    def __init__(
        self,
        explainer: Explainer,
        guard: Guard,
        *,
        pid: int,
        turn: Callable[[str, float], bool] = lambda *_: True,
        clock: Callable[[], float] = time.monotonic,
        stagger_s: float = STAGGER_S,
    ) -> None:
        self._explainer = explainer
        self._guard = guard
        self._pid = pid
        self._turn = turn
        self._clock = clock
        self._stagger_s = stagger_s
        self._waiting: asyncio.Queue[tuple[str, float]] = asyncio.Queue(MOST_WAITING)
        """Fingerprints, and how long ago a sibling must have asked."""
        self._met: dict[str, _Met] = {}
        self._untold: dict[str, None] = {}
        """Fingerprints whose plan has become known since the last frame."""
        self._tokens = float(BURST)
        self._filled_at = clock()

    def note(self, frame: Frame) -> None:
        """Look at a frame that is about to go out, and add to it what is known of its slow statements."""
        with self._guard.guarding("explain"):
            slow = [each for each in frame.statements if each.slow]
            for statement in frame.statements:
                self._consider(statement)
            slow.sort(key=lambda each: each.slow, reverse=True)
            told = dict.fromkeys([*self._untold, *(each.fingerprint for each in slow)])
            self._untold.clear()
            known = [self._explainer.known(fingerprint) for fingerprint in told]
            frame.plans = [note for note in known if note is not None][:MOST_TOLD]

    async def run(self) -> None:
        """Have explained what waits, until cancelled."""
        while True:
            fingerprint, apart_s = await self._waiting.get()
            with self._guard.guarding("explain"):
                await asyncio.sleep(random.random() * self._stagger_s)  # noqa: S311 - keeps no secret
                if not self._turn(f"the plan of {fingerprint}", apart_s * 0.9):
                    self._refused(fingerprint)
                    continue
                await self._take_token()
                try:
                    await self._explainer.explain(
                        fingerprint,
                        request_id="",
                        pid=self._pid,
                        why=f"the plan of slow statement {fingerprint}",
                    )
                except CannotExplainError:
                    self._tried(fingerprint, failed=True)
                    continue
                self._tried(fingerprint, failed=False)
                self._untold[fingerprint] = None

    def _consider(self, statement: StatementFrame) -> None:
        fingerprint, now = statement.fingerprint, self._clock()
        met = self._met.get(fingerprint)
        if met is not None:
            met.fade(statement)
        is_helped = met is not None and self._may_be_helped(met, statement)
        if not (statement.slow or is_helped) or not self._explainer.can_explain(fingerprint):
            return
        apart_s = AGAIN_S if met is None else SOONER_S if is_helped else met.apart_s(statement)
        if met is not None and now - met.asked_at < apart_s:
            return
        try:
            self._waiting.put_nowait((fingerprint, apart_s))
        except asyncio.QueueFull:
            return
        if met is None and len(self._met) >= MOST_MET:
            del self._met[next(iter(self._met))]
        self._met.pop(fingerprint, None)
        failed, longest_ns = (met.failed, met.longest_ns) if met is not None else (0, 0)
        self._met[fingerprint] = met = _Met(
            now,
            failed=failed,
            longest_ns=max(longest_ns, statement.latency.max),
            quickest_ns=_quickest_ns(statement),
            is_habit=bool(statement.slow),
        )
        met.fade(statement)

    def _may_be_helped(self, met: _Met, statement: StatementFrame) -> bool:
        """Tell whether what its plan wanted may be there by now.

        It need not have become quick for that: on a busy machine it is slow now and then for other reasons.
        """
        if not (met.has_become_quick or 0 < FAR_QUICKER * _quickest_ns(statement) < met.quickest_ns):
            return False
        known = self._explainer.known(statement.fingerprint)
        return known is not None and bool(known.missing)

    def _refused(self, fingerprint: str) -> None:
        """Leave it to the sibling that has asked: who watches hears of it from that one, and nothing older.

        Was that while the statement was slow by chance, then it may have become a habit since.
        """
        self._explainer.forget(fingerprint)
        met = self._met.get(fingerprint)
        if met is not None:
            met.is_habit = False

    def _tried(self, fingerprint: str, *, failed: bool) -> None:
        met = self._met.get(fingerprint)
        if met is not None:
            met.failed = met.failed + 1 if failed else 0

    async def _take_token(self) -> None:
        while True:
            now = self._clock()
            self._tokens = min(float(BURST), self._tokens + (now - self._filled_at) * PER_SECOND)
            self._filled_at = now
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await asyncio.sleep((1 - self._tokens) / PER_SECOND)


def _quickest_ns(statement: StatementFrame) -> int:
    """Return what the quickest run of a frame took, to a hundredth; 0 if it has none."""
    buckets = statement.latency.buckets
    return bucket_bounds(min(buckets))[0] if buckets else 0
