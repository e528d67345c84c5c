"""One ramp: the search asks for rates, the senders send them, the agents tell what that did.

Takes a feed that is being followed and senders that are up. Every step is measured where a client is, and
looked at from within over the same seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from perftui.check.grammar import Objective
from perftui.check.measure import measure
from perftui.feed import Feed
from perftui.findings.find import find
from perftui.model.database import Databases
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.ramp.judgement import Step
from perftui.ramp.law import Law, fitted
from perftui.ramp.limit import NOTHING, Limit, Locked
from perftui.ramp.limits import limits
from perftui.ramp.load import Load, StepTold
from perftui.ramp.observing import emergency, observed
from perftui.ramp.processors import Meter
from perftui.ramp.resources import Kind, parts_of, saturation
from perftui.ramp.safety import short_of_memory
from perftui.ramp.search import Search, advance, begin
from perftui.ramp.seconds import seconds_of
from perftui.ramp.sender import Order
from perftui.ramp.unanswered import Unanswered, nothing_answered
from perftui.record import Record

WARM_PART, WARM_S = 0.2, 2.0
"""How much of a step is warm-up, and for how long at most."""

TOLD_S = 1.3
"""How long after a step the agents have told of its last second."""

QUIET_S = 15.0
"""How long a service that was overloaded may take to come to rest."""


class Looked(Record, frozen=True):
    """A step, with what the agents saw over the same seconds."""

    step: Step
    summary: Summary
    findings: tuple[Finding, ...]
    used: dict[Kind, float]
    queue_p95_ms: float | None
    under_way: float
    """Requests under way on average, by Little's law."""
    locked: Locked | None = None
    """Who waited for a lock in the database, as it said itself in the middle of the step."""


class Ramped(Record, frozen=True):
    """How a ramp went."""

    search: Search
    looked: tuple[Looked, ...]
    limits: tuple[Limit, ...] = (NOTHING,)
    law: Law | None = None
    objectives: tuple[Objective, ...] = ()
    ended: str = ""
    """Why it was ended before its time, if it was."""

    @property
    def limit(self) -> Limit:
        """What gave first."""
        return self.limits[0]


AskDatabase = Callable[[], Awaitable[Databases]]
"""Asks the databases for their own view."""

ASKED_PART = 0.1
"""From this part of a request's time on that goes to databases, they are asked in the next step."""

ANSWERED_WITHIN_S = 1.0
"""How long after a step what was asked in it is waited for."""

Telling = Callable[[Search, StepTold], None]
"""Told four times a second how a step goes."""


class Ramp:
    """A ramp under way; `stop` ends it within a quarter of a second."""

    def __init__(
        self,
        feed: Feed,
        load: Load,
        objectives: Sequence[Objective],
        *,
        step_s: float,
        longest_s: float,
        telling: Telling = lambda *_: None,
        stepped: Callable[[Looked], None] = lambda _: None,
        ask_database: AskDatabase | None = None,
        unanswered: Unanswered | None = None,
    ) -> None:
        self._feed = feed
        self._load = load
        self._objectives = tuple(objectives)
        self._step_s = step_s
        self._deadline = time.monotonic() + longest_s
        self._telling = telling
        self._stepped = stepped
        self._ask_database = ask_database
        self._unanswered = unanswered
        self._in_vain: Limit | None = None
        self._stopping = ""
        self._looked: list[Looked] = []

    def stop(self, why: str) -> None:
        """End it, for a reason."""
        self._stopping = self._stopping or why

    async def run(self, start: float, limit: float) -> Ramped:
        """Search for the knee between two rates."""
        search = begin(start, limit)
        while search.next_rate is not None and not self._stopping:
            if time.monotonic() > self._deadline:
                self.stop("its time was up")
                break
            search = await self._step(search, search.next_rate)
        return self._told(search)

    async def _step(self, search: Search, rate: float) -> Search:
        warm_s = min(WARM_S, self._step_s * WARM_PART)
        meter = Meter(warm_s, warm_s + self._step_s)
        why = ""

        def seen(told: StepTold) -> bool:
            nonlocal why
            self._telling(search, told)
            meter.look(told.at_s)
            why = why or self._stopping or emergency(told, self._objectives, search.baseline_ms)
            return bool(why)

        asking = asyncio.create_task(self._locked(warm_s + self._step_s * 0.6))
        told = await self._load.step(Order(rate, self._step_s, warm_s), seen)
        await asyncio.wait([asking], timeout=ANSWERED_WITHIN_S)
        if asking.done():
            locked = asking.result()
        else:
            asking.cancel()
            locked = None
        if self._stopping:
            return search
        if short_of_memory():
            self.stop("the machine is short of memory")
        counted_s = max(min(told.at_s, warm_s + self._step_s) - warm_s, 0.0)
        # What was under way as the step was over has been waited for since.
        ended = time.time() - max(told.at_s - warm_s - self._step_s, 0.0)
        counted_from = ended - counted_s
        await asyncio.sleep(max(ended + TOLD_S - time.time(), 0.0))
        summary = self._feed.summary(*seconds_of(counted_from - warm_s, counted_from, ended))
        findings = find(summary)

        def within(objective: Objective) -> float | None:
            return measure(objective, summary, self._objectives, findings).value

        observation = observed(
            told, counted_s, self._objectives, within, baseline_ms=search.baseline_ms, stopped=why
        )
        after = advance(search, observation)
        step = after.steps[-1]
        mean_s = (told.latency.mean() or 0.0) / 1e9
        looked = Looked(
            step=step,
            summary=summary,
            findings=findings,
            used=saturation(summary) | meter.used,
            queue_p95_ms=summary.totals.queued.p95_ms,
            under_way=told.done / max(counted_s, 1.0) * mean_s,
            locked=locked,
        )
        self._looked.append(looked)
        self._stepped(looked)
        if told.failures and not any(each.step.seen.done for each in self._looked):
            spoken = await self._unanswered() if self._unanswered is not None else ""
            self._in_vain = nothing_answered(told.failures, spoken)
            self.stop("no request was answered well")
            return after
        if not step.is_good and after.next_rate is not None:
            await self._quiet()
        return after

    async def _locked(self, after_s: float) -> Locked | None:
        """Ask who waits for whom, where the last step went to databases in good part."""
        if self._ask_database is None or not self._looked:
            return None
        parts, mean_ms = parts_of(self._looked[-1].summary), self._looked[-1].step.seen.mean_ms
        if not mean_ms or parts.sql + parts.pool < ASKED_PART * mean_ms:
            return None
        await asyncio.sleep(after_s)
        answer = await self._ask_database()
        waits = [(view, row) for view in answer.views for row in view.locks]
        if not waits:
            return None
        view, row = waits[0]
        return Locked(len(waits), row.on or "a lock", view.name)

    async def _quiet(self) -> None:
        """Wait until what was queued up has been worked off: the next step is not to pay for this one."""
        deadline = time.monotonic() + QUIET_S
        while time.monotonic() < deadline and not self._stopping:
            await asyncio.sleep(0.5)
            now = self._feed.summary(2.0)
            if not now.totals.in_flight and not any(row.blocked_ms for row in now.workers):
                return

    def _told(self, search: Search) -> Ramped:
        after = self._at(search.high)
        found: tuple[Limit, ...] = ()
        if self._in_vain is not None:
            found = (self._in_vain,)
        elif after is not None:
            calm = [each.summary for each in self._looked if each.step.is_good and each.summary.routes]
            kept_up = [(each.step.seen.rate, each.used) for each in self._looked if each.step.is_good]
            # One question in a step: what another bad one was told holds as well.
            bad = [each.locked for each in self._looked if each.locked is not None and not each.step.is_good]
            locked = after.locked or (bad[-1] if bad else None)
            found = limits(search, calm, after.summary, after.used, after.findings, locked, kept_up)
            if not found:
                found = (Limit("none", sentence=f"{after.step.why}; nothing that is measured explains it"),)
        elif search.generator_at is not None:
            found = (_generators(search),)
        good = [each for each in self._looked if each.step.is_good]
        return Ramped(
            search=search,
            looked=tuple(self._looked),
            limits=found or (NOTHING,),
            law=fitted([(each.under_way, each.step.seen.done / self._step_s) for each in good]),
            objectives=self._objectives,
            ended=self._stopping,
        )

    def _at(self, step: Step | None) -> Looked | None:
        """Return what was looked at in a step; of several at one rate the last."""
        found = [each for each in self._looked if step is not None and each.step.seen == step.seen]
        return found[-1] if found else None


def _generators(search: Search) -> Limit:
    """Return the generator as what gave: why it did, and who sends more."""
    said = next((step.seen.generators for step in reversed(search.steps) if step.seen.generators), "")
    return Limit(
        "generator",
        "perftui ramp",
        f"the generator is the limit here, at {search.generator_at:.0f} rps: it {said}",
        "Send from elsewhere (--engine locust --workers-at HOST:PORT), or leave it a core of this machine",
    )
