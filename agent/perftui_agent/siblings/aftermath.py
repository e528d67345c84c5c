"""Tells of silences of which only what the worker itself has written is left: its own, and the dead ones'.

A single worker has no sibling, and where all are silent nobody looks. Who goes on reads what the alarm has
had it write, or, where C code has held its GIL and only waited, sees where that was called; of one that
was ended, whoever comes next does: the worker that takes its place, or a sibling that was silent itself. A
silence that somebody has claimed is left to who has, and one of the agent's alone, while the app went on, is
none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.inspect.source import SourceReader
from perftui_agent.probes.loop.gap import Gap
from perftui_agent.siblings import claim
from perftui_agent.siblings.account import Found, describe
from perftui_agent.siblings.neighbours import Neighbour
from perftui_agent.siblings.pulse import Sign, read_pulse
from perftui_agent.siblings.supervision import Supervisor
from perftui_agent.siblings.verdict import NOBODY, STARVED, STARVED_WAITED, STOPPED, Verdict, blamed, judge
from perftui_agent.siblings.written import Stacks, Text, dump_of, stacks_after, stacks_in, take_text
from perftui_agent.toll import Account, Shares, account_of, shares
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.registration import StacksOnSignal

REPLACED_WITHIN_S = 60.0
"""Who comes so soon after another has been silent has taken its place."""

RouteOf: TypeAlias = Callable[[Sequence[tuple[str, int]]], Awaitable[str]]
"""Tells by the lines of a stack which route it works for."""


class Left(NamedTuple):
    """What a worker that is no more has left."""

    neighbour: Neighbour
    sign: Sign
    text: Text


def left_by(neighbour: Neighbour) -> Left | None:
    """Return what a dead worker has left; None if it has left nothing, or somebody has it."""
    stacks, sign = neighbour.registration.stacks, read_pulse(neighbour.pulse)
    if stacks is None or sign is None:
        return None
    mine = claim.claim_of(neighbour.directory, neighbour.stem, sign.beat_ns)
    if not claim.take(mine):
        return None
    text = take_text(Path(stacks.path))
    claim.release(mine)  # whoever looks now finds nothing
    return Left(neighbour, sign, text) if text is not None and text.is_of(sign.beat_ns) else None


def drop_what_is_left_by(neighbour: Neighbour) -> None:
    """Have nobody tell of a dead worker by what it has left, since it has been told of."""
    stacks = neighbour.registration.stacks
    if stacks is not None:
        take_text(Path(stacks.path))


class Aftermath:
    """Tells of what is over. Belongs to the agent's thread."""

    def __init__(
        self,
        own: WorkerIdentity,
        stem: str,
        *,
        tray: EvidenceTray,
        route_of: RouteOf,
        supervisor: Callable[[], Supervisor | None],
        guard: Guard,
    ) -> None:
        self._own = own
        self._stem = stem
        self._tray = tray
        self._route_of = route_of
        self._supervisor = supervisor
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._sources = SourceReader()
        self._tasks: set[asyncio.Task[None]] = set()
        self._accounts: tuple[Account | None, ...] = (None, None)
        self._accounts_ns = 0

    def note(self) -> None:
        """Note how much CPU the app's thread and our own have had: what they have later is held to this."""
        self._accounts, self._accounts_ns = self._accounts_now(), time.monotonic_ns()

    def _accounts_now(self) -> tuple[Account | None, ...]:
        return account_of(str(self._own.pid)), account_of("thread-self")

    def tell_own(
        self, sign: Sign, stacks: StacksOnSignal | None, directory: Path, now_ns: int, gap: Gap | None
    ) -> None:
        """Tell of a silence of this worker's that is over, unless a sibling has looked."""
        if stacks is None:
            return
        here = stacks_after(gap) if gap is not None and gap.waited_for_gil else None
        # Taken in any case: left there, it would be told as the next silence's.
        text = take_text(Path(stacks.path))
        if claim.claim_of(directory, self._stem, sign.beat_ns).exists():
            return
        if text is not None and text.is_of(sign.beat_ns):
            here = stacks_in(text, self._own.pid, stacks.main_thread)
        elif gap is None:
            return  # what it was can't be told
        if gap is None or not gap.loop_turned:
            self._start(self._own_silence(sign, here, now_ns))

    def tell_of_the_dead(self, left: Left, ended_at: float | None = None) -> None:
        """Tell of what a worker has left that ended in silence."""
        self._start(self._silence_of_the_dead(left, ended_at))

    def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            with self._guard.guarding("siblings"):
                await work

        task = self._loop.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # The loop may wait in its selector, which is where the beat comes from.
        self._loop.call_soon_threadsafe(lambda: None)

    async def _own_silence(self, sign: Sign, stacks: Stacks | None, now_ns: int) -> None:
        over_ns = now_ns - self._accounts_ns
        accounts = zip(self._accounts, self._accounts_now(), strict=True)
        spent = [shares(before, after, over_ns) for before, after in accounts]
        silent_ns = now_ns - sign.beat_ns
        waited_ns = max((each.waited for each in spent if each is not None), default=0.0) * over_ns
        evidence = await self._evidence(
            "",
            self._own,
            sign,
            stacks,
            began_at=time.time_ns() - (time.monotonic_ns() - sign.beat_ns),
            ns=silent_ns,
            spent=spent[0],
            without_stacks=STARVED if waited_ns >= STARVED_WAITED * silent_ns else STOPPED,
        )
        self._tray.tell(msgspec.structs.replace(evidence, outcome="went on"))

    async def _silence_of_the_dead(self, left: Left, ended_at: float | None) -> None:
        worker = left.neighbour.worker
        stacks = left.neighbour.registration.stacks
        began_at = time.time_ns() - (time.monotonic_ns() - left.sign.beat_ns)
        written_s = left.text.written_at / 1e9
        if ended_at is None:
            came = self._own.started_at
            ended_at = came if written_s < came < written_s + REPLACED_WITHIN_S else written_s
        ns = max(0, int(ended_at * 1e9) - began_at)
        evidence = await self._evidence(
            worker.id,
            worker,
            left.sign,
            stacks_in(left.text, worker.pid, stacks.main_thread if stacks is not None else 0),
            began_at=began_at,
            ns=ns,
            spent=None,
        )
        supervisor, by = self._supervisor(), ""
        if supervisor is not None and supervisor.has_ended(worker, ns / 1e9):
            by = supervisor.shown
        self._tray.tell(msgspec.structs.replace(evidence, outcome="ended", ended_by=by))

    async def _evidence(
        self,
        told_as: str,
        worker: WorkerIdentity,
        sign: Sign,
        stacks: Stacks | None,
        *,
        began_at: int,
        ns: int,
        spent: Shares | None,
        without_stacks: Verdict = STOPPED,
    ) -> Evidence:
        answer: Dump | Refusal = Refusal(id="", reason="it did not run")
        who, route, verdict = NOBODY, "", without_stacks
        if stacks is not None:
            answer = await dump_of(stacks, worker.pid, self._sources)
            who = blamed(answer)
            route = await self._route_of([(frame.file, frame.line) for frame in who.frames])
            verdict = judge(who, spent, is_stopped=False)
            if who.waits_for_events:
                answer, who, route = (
                    Refusal(id="", reason="it had gone on before it was looked at"),
                    NOBODY,
                    "",
                )
        found = Found(
            id=f"{worker.id}@{sign.beat_ns}",
            worker=told_as,
            began_at=began_at,
            silent_ns=ns,
            in_flight=sign.in_flight,
            answer=answer,
            who=who,
            spent=spent,
            verdict=verdict,
            route=route,
            taken_by="itself",
        )
        return describe(found)
