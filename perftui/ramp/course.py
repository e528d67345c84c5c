"""A ramp as it is looked at: what `run` tells, put together for a screen, a recording and a report.

Takes what a ramp tells as it goes (`telling`, `stepped`) and how it went, gives a `RampCourse`, which knows
nothing of searches and senders.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from perftui.check.grammar import Objective
from perftui.feed import Feed
from perftui.model.ramp import RampCourse, RampNow, RampStep
from perftui.ramp.judgement import Observation, judged
from perftui.ramp.limits import following
from perftui.ramp.load import StepTold
from perftui.ramp.observing import felt
from perftui.ramp.processors import busy_between, processors_now
from perftui.ramp.run import Looked, Ramped
from perftui.ramp.search import Search
from perftui.ramp.steps import limit_of, step_of, time_in, used_in
from perftui.ramp.telling import knee_sentence

LOOK_EVERY_S = 1.0
"""How often the step that goes on is looked at from within: a summary takes some tens of milliseconds."""

LOOK_OVER_S = 3.0

TELLS = 10
"""Requests that have ended, before anything is said of how a step goes."""


class Course:
    """Follows a ramp; `seen` is what there is to see of it."""

    def __init__(
        self,
        feed: Feed,
        objectives: Sequence[Objective],
        *,
        requests: Sequence[str] = (),
        most_rps: float = 0.0,
        longest_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._objectives = tuple(objectives)
        self._clock = clock
        self._looked_at = 0.0
        self._counts_from: float | None = None
        self._processors = processors_now()
        self._within: tuple[dict[str, float], dict[str, float]] = ({}, {})
        self.seen = RampCourse(
            requests=tuple(requests),
            targets=tuple(map(str, objectives)),
            most_rps=most_rps,
            began_at=time.time(),
            longest_s=longest_s,
        )

    def telling(self, search: Search, told: StepTold) -> None:
        """Take how the step goes."""
        if self._clock() - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = self._clock()
            summary = self._feed.summary(LOOK_OVER_S)
            before, self._processors = self._processors, processors_now()
            busy = busy_between(before, self._processors)
            used = used_in(summary) | ({} if busy is None else {"cpu": busy})
            self._within = (used, time_in(summary))
        used, times = self._within
        counts = told.done + told.errors > 0
        if not counts:
            self._counts_from = None
        elif self._counts_from is None:
            self._counts_from = told.at_s
        # What is answered a second is known a second after warm-up.
        is_known = self._counts_from is not None and told.at_s - self._counts_from >= 1.0
        step = RampStep(
            at=time.time(),
            rate=told.rate,
            answered=told.recent().done if is_known else None,
            sent=told.sent,
            done=told.done,
            errors=told.errors,
            p50_ms=told.quantile_ms(0.5),
            p95_ms=told.quantile_ms(0.95),
            p99_ms=told.quantile_ms(0.99),
            used=used,
            time_in=times,
            why=self._breaks(search, told) if told.done + told.errors >= TELLS else "",
        )
        now = RampNow(step, phase=search.phase, under_way=told.under_way, is_warm=not counts)
        self.seen = replace(self.seen, now=now)

    def stepped(self, looked: Looked) -> None:
        """Take how it went."""
        self.seen = replace(self.seen, steps=(*self.seen.steps, step_of(looked)), now=None)

    def stopping(self) -> None:
        """Note that it is to end."""
        self.seen = replace(self.seen, is_stopping=True)

    def over(self, ramped: Ramped) -> None:
        """Take how all of it went."""
        after = following(ramped.limits)
        self.seen = replace(
            self.seen,
            now=None,
            following=limit_of(after) if after is not None else None,
            steps=tuple(map(step_of, ramped.looked)),
            verdict=knee_sentence(ramped),
            knee_rps=ramped.search.knee_rps,
            bracket=ramped.search.bracket,
            limits=tuple(map(limit_of, ramped.limits)),
            law=ramped.law.in_words() if ramped.law is not None else "",
            ended=ramped.ended,
        )

    def _breaks(self, search: Search, told: StepTold) -> str:
        """Return what is bad about the step as far as a client has felt it until now."""
        missed = []
        for each in self._objectives:
            value = felt(each, told)
            if value is not None and not each.kept_by(value):
                missed.append(str(each))
        so_far = Observation(
            rate=told.rate,
            sent=told.sent,
            done=told.done,
            errors=told.errors,
            p95_ms=told.quantile_ms(0.95),
            broken=tuple(missed),
            has_targets=bool(self._objectives),
        )
        return judged(so_far, search.baseline_ms).why
