"""What a trigger has done, one thing after the other, by the road that clients' actions take.

Looks at each frame as it is closed; a firing waits for its turn. What is taken is told as evidence: at once
that it fired; every few seconds what a profile has seen, so that a worker that is killed leaves that; in the
end the whole, or why there is none. Where actions are switched off it says that, and takes nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import msgspec

from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.trigger import Trigger, Wanted
from perftui_agent.triggers.results import kept, told_by
from perftui_agent.triggers.sentence import how_taken, sentence
from perftui_agent.triggers.watch import Firing, Latencies, Watch, observed
from perftui_agent.wire.actions import Profile, ProfileRequest, Progress
from perftui_agent.wire.dumps import Dump, DumpRequest, Refusal
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.messages import ActionRequest, ActionResult

KIND = "trigger"

WAITING = 8
"""Firings that wait for those before; more are told of and not acted on."""

TELL_EVERY_S = 5.0

BUSY_AGAIN_S = 2.0
BUSY_TRIES = 6
"""A client's own action is under way: nobody is sent away for long."""

RATE_HZ = 50

STAGGER_S = 1.0
"""Workers of a service fire together: that not all of them stand still for a dump at once."""


class Act(Protocol):
    """The one road of all actions."""

    async def __call__(
        self,
        request: ActionRequest,
        *,
        peer: str,
        tell: Callable[[Progress], Awaitable[None]],
    ) -> ActionResult | Refusal:
        """Do what is asked."""


class Triggers:
    """The triggers of this worker. Belongs to the agent's loop."""

    def __init__(
        self,
        triggers: Iterable[Trigger],
        *,
        worker: str,
        act: Act,
        tray: EvidenceTray,
        guard: Guard,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._watches = [Watch(trigger) for trigger in triggers]
        self._worker = worker
        self._act = act
        self._tray = tray
        self._guard = guard
        self._now_ns = now_ns
        self._fired: asyncio.Queue[tuple[Firing, int, int]] = asyncio.Queue(WAITING)
        self._told = 0

    def note(self, frame: Frame) -> None:
        """Look at a frame that is about to go out."""
        latencies = Latencies(frame)
        for watch in self._watches:
            with self._guard.guarding("triggers"):
                firing = watch.see(observed(watch.trigger, frame, latencies))
                if firing is not None:
                    self._take(firing)

    async def run(self) -> None:
        """Do what has fired, until cancelled."""
        while True:
            firing, at_ns, number = await self._fired.get()
            for place, wanted in enumerate(firing.trigger.actions):
                with self._guard.guarding("triggers"):
                    await self._do(firing, at_ns, f"{number}.{place}", wanted)

    def _take(self, firing: Firing) -> None:
        self._told += 1
        at_ns = self._now_ns()
        try:
            self._fired.put_nowait((firing, at_ns, self._told))
        except asyncio.QueueFull:
            self._tell(
                self._evidence(firing, at_ns, f"{self._told}.0"), outcome="refused", how="too many at once"
            )
            return
        for place, wanted in enumerate(firing.trigger.actions):
            self._tell(self._evidence(firing, at_ns, f"{self._told}.{place}"), how=f"{wanted.name}: waits")

    def _evidence(self, firing: Firing, at_ns: int, number: str) -> Evidence:
        trigger = firing.trigger
        return Evidence(
            id=f"{self._worker}/trigger/{number}",
            kind=KIND,
            at=at_ns,
            route=trigger.route,
            trigger=trigger.text,
            text=sentence(firing),
        )

    async def _do(self, firing: Firing, at_ns: int, number: str, wanted: Wanted) -> None:
        evidence = self._evidence(firing, at_ns, number)
        told_at = time.monotonic()

        async def tell(progress: Progress) -> None:
            nonlocal told_at
            if progress.profile is not None and time.monotonic() - told_at >= TELL_EVERY_S:
                told_at = time.monotonic()
                self._tell_result(evidence, progress.profile, "")

        answer = await self._asked(wanted, evidence.id, f"trigger {firing.trigger.text}", tell)
        if isinstance(answer, Dump | Profile):
            self._tell_result(evidence, answer, "taken")
        elif isinstance(answer, Refusal):
            why = f"{answer.reason} ({answer.advice})" if answer.advice else answer.reason
            self._tell(evidence, outcome="refused", how=f"{wanted.name}: {why}")

    async def _asked(
        self, wanted: Wanted, name: str, peer: str, tell: Callable[[Progress], Awaitable[None]]
    ) -> ActionResult | Refusal:
        request: ActionRequest = DumpRequest(id=name)
        if wanted.name == "profile":
            request = ProfileRequest(id=name, for_s=wanted.for_s, rate_hz=RATE_HZ, by_route=True)
        else:
            await asyncio.sleep(random.random() * STAGGER_S)  # noqa: S311 - spreads load, keeps no secret
        for _ in range(BUSY_TRIES):
            answer = await self._act(request, peer=peer, tell=tell)
            if not (isinstance(answer, Refusal) and answer.reason.startswith(("busy", "more than"))):
                break
            await asyncio.sleep(BUSY_AGAIN_S)
        return answer

    def _tell_result(self, evidence: Evidence, result: Dump | Profile, outcome: str) -> None:
        where, stack = told_by(result)
        self._tell(
            evidence,
            outcome=outcome,
            how=how_taken(result),
            where=where,
            stack=stack,
            taken_at=result.taken_at,
            result=kept(result),
        )

    def _tell(self, evidence: Evidence, **said: object) -> None:
        lasted_ns = max(0, self._now_ns() - evidence.at)
        self._tray.tell(msgspec.structs.replace(evidence, ns=lasted_ns, **said))
