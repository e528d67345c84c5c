"""One ramp: the search asks for rates, the senders send them, the agents tell what that did.

Takes a feed that is being followed and senders that are up. Every step is measured where a client is, and
looked at from within over the same seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from perftui.check.grammar import Objective, ObjectiveError, parse_objective
from perftui.check.measure import measure
from perftui.feed import Feed
from perftui.findings.find import find
from perftui.model.database import Databases
from perftui.model.happenings import Finding
from perftui.model.slo import ALL
from perftui.model.summary import Summary
from perftui.ramp.candidates import NOTHING, Limit, Locked
from perftui.ramp.law import Law, fitted
from perftui.ramp.limits import limits
from perftui.ramp.load import Load, StepTold
from perftui.ramp.resources import Kind, parts_of, saturation
from perftui.ramp.safety import short_of_memory
from perftui.ramp.search import Observation, Search, Step, advance, begin
from perftui.ramp.sender import Order
from perftui.record import Record

WARM_PART, WARM_S = 0.2, 2.0
"""How much of a step is warm-up, and for how long at most."""

TOLD_S = 1.3
"""How long after a step the agents have told of its last second."""

QUIET_S = 15.0
"""How long a service that was overloaded may take to come to rest."""

BURST = 0.25
BURST_LEAST = 10
"""A second with so many failures, of so many requests at least, ends the step."""

FAR_BEYOND = 5.0
"""As does one whose p95 is so many times what it may be: more of it would tell nothing and hurt."""


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

ASKED_PART = 0.3
"""From this part of a request's time on that goes to databases, they are asked."""

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
    ) -> None:
        self._feed = feed
        self._load = load
        self._objectives = tuple(objectives)
        self._step_s = step_s
        self._deadline = time.monotonic() + longest_s
        self._telling = telling
        self._stepped = stepped
        self._ask_database = ask_database
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
        why = ""

        def seen(told: StepTold) -> bool:
            nonlocal why
            self._telling(search, told)
            why = why or self._stopping or _emergency(told, self._objectives, search.baseline_ms)
            return bool(why)

        asking = asyncio.create_task(self._locked(warm_s + self._step_s * 0.6))
        told = await self._load.step(Order(rate, self._step_s, warm_s), seen)
        if asking.done():
            locked = asking.result()
        else:
            asking.cancel()
            locked = None
        if self._stopping:
            return search
        if short_of_memory():
            self.stop("the machine is short of memory")
        measured_s = max(min(told.at_s, warm_s + self._step_s) - warm_s, 1.0)
        ended = time.time()
        await asyncio.sleep(TOLD_S)
        summary = self._feed.summary(measured_s, ended)
        findings = find(summary)
        observation = self._observed(told, measured_s, summary, findings, why)
        after = advance(search, observation)
        step = after.steps[-1]
        mean_s = (told.latency.mean() or 0.0) / 1e9
        looked = Looked(
            step=step,
            summary=summary,
            findings=findings,
            used=saturation(summary),
            queue_p95_ms=summary.totals.queued.p95_ms,
            under_way=told.done / measured_s * mean_s,
            locked=locked,
        )
        self._looked.append(looked)
        self._stepped(looked)
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

    def _observed(
        self, told: StepTold, seconds: float, summary: Summary, findings: Sequence[Finding], why: str
    ) -> Observation:
        wanted = told.rate * seconds
        return Observation(
            rate=told.rate,
            sent=told.sent,
            done=told.done,
            errors=told.errors + told.unfinished,
            p50_ms=told.quantile_ms(0.5),
            p95_ms=told.quantile_ms(0.95),
            p99_ms=told.quantile_ms(0.99),
            mean_ms=(told.latency.mean() or 0.0) / 1e6 if told.latency.count else None,
            # A few requests more or less are no per cent of a slow rate.
            delivered=min((told.in_time + 1.0) / wanted, 1.0) if wanted >= 1 else None,
            broken=self._broken(told, summary, findings),
            has_targets=bool(self._objectives),
            is_generators=bool(told.generators_fault),
            stopped=why,
        )

    def _broken(self, told: StepTold, summary: Summary, findings: Sequence[Finding]) -> tuple[str, ...]:
        missed = []
        for each in self._objectives:
            value = felt(each, told)
            if value is None:
                value = measure(each, summary, self._objectives, findings).value
            if value is not None and not each.kept_by(value):
                missed.append(str(each))
        return tuple(missed)

    async def _quiet(self) -> None:
        """Wait until what was queued up has been worked off: the next step is not to pay for this one."""
        deadline = time.monotonic() + QUIET_S
        while time.monotonic() < deadline and not self._stopping:
            await asyncio.sleep(0.5)
            now = self._feed.summary(2.0)
            if not now.totals.in_flight and not any(row.blocked_ms for row in now.workers):
                return

    def _told(self, search: Search) -> Ramped:
        before, after = self._at(search.low), self._at(search.high)
        found: tuple[Limit, ...] = ()
        if after is not None:
            earlier = before or after
            kept_up = [(each.step.seen.rate, each.used) for each in self._looked if each.step.is_good]
            found = limits(search, earlier.summary, after.summary, after.findings, after.locked, kept_up)
            if not found:
                found = (Limit("none", sentence=f"{after.step.why}; nothing that is measured explains it"),)
        elif search.generator_at is not None:
            why = "the generator is the limit here"
            found = (Limit("generator", "perftui ramp", f"{why}, at {search.generator_at:.0f} rps"),)
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


def promised(summary: Summary) -> tuple[Objective, ...]:
    """Return what the service itself promises of all its requests, as far as a client can feel it."""
    found = []
    for verdict in summary.slo:
        if verdict.scope == ALL and not verdict.slo.startswith("rps"):
            try:
                found.append(replace(parse_objective(verdict.slo), source="the service"))
            except ObjectiveError:  # what a newer agent promises
                continue
    return tuple(found)


def felt(objective: Objective, told: StepTold) -> float | None:
    """Return what a client felt of an objective for all requests; None for what only the agents know."""
    if objective.scope != ALL or not told.latency.count:
        return None
    if objective.quantity == "latency" and objective.quantile is not None:
        return told.quantile_ms(objective.quantile)
    if objective.metric == "errors":
        return (told.errors + told.unfinished) / told.latency.count
    return None


def _emergency(told: StepTold, objectives: Sequence[Objective], baseline_ms: float | None) -> str:
    """Return why a step has to end at once; empty: it may go on."""
    recent = told.recent()
    ended = recent.done + recent.errors
    if ended >= BURST_LEAST and recent.errors / ended > BURST:
        return f"{100 * recent.errors / ended:.0f} % of a second's requests failed"
    if told.turned_away:
        return f"{told.under_way} requests were under way, and no more are sent"
    bounds = [each.bound for each in objectives if each.quantity == "latency" and each.scope == ALL]
    bound_ms = min(bounds) if bounds else max(10 * baseline_ms, 1000.0) if baseline_ms else None
    p95 = recent.latency.quantile(0.95)
    if (
        bound_ms
        and p95 is not None
        and recent.latency.count >= 2 * BURST_LEAST
        and p95 / 1e6 > FAR_BEYOND * bound_ms
    ):
        return f"a second's p95 was {p95 / 1e6:.0f} ms"
    return ""
