"""Tells of silences of which only what the worker itself has written is left: its own, and the dead ones'.

A single worker has no sibling, and where all are silent nobody looks. Who goes on reads what the alarm has
had it write; of one that was ended, whoever comes next does: the worker that takes its place, or a sibling
that was silent itself. A silence that somebody has claimed is left to who has.
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
from perftui_agent.siblings import claim
from perftui_agent.siblings.account import Found, describe
from perftui_agent.siblings.alarm import AFTER_NS
from perftui_agent.siblings.neighbours import Neighbour
from perftui_agent.siblings.pulse import Sign, read_pulse
from perftui_agent.siblings.supervision import Supervisor
from perftui_agent.siblings.toll import Account, Shares, account_of, shares
from perftui_agent.siblings.verdict import STARVED_WAITED, blamed, judge
from perftui_agent.siblings.written import Text, dump_of, take_text
from perftui_agent.wire.frames import Evidence, WorkerIdentity
from perftui_agent.wire.registration import StacksOnSignal

LATE_NS = 500_000_000
"""What was written so long after it was due, was written by a process that had not run before."""

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
    return None if text is None else Left(neighbour, sign, text)


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
        self._account: Account | None = None
        self._account_ns = 0

    def note(self) -> None:
        """Note how much CPU the app's thread has had: what it has afterwards is held against this."""
        self._account, self._account_ns = account_of(str(self._own.pid)), time.monotonic_ns()

    def tell_own(self, sign: Sign, stacks: StacksOnSignal | None, directory: Path, now_ns: int) -> None:
        """Tell of a silence of this worker's that is over, unless a sibling has looked."""
        if stacks is None:
            return
        # Taken in any case: left there, it would be told as the next silence's.
        text = take_text(Path(stacks.path))
        if text is not None and not claim.claim_of(directory, self._stem, sign.beat_ns).exists():
            spent = shares(self._account, account_of(str(self._own.pid)), now_ns - self._account_ns)
            self._start(self._own_silence(sign, text, stacks.main_thread, spent, now_ns))

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

    async def _own_silence(
        self, sign: Sign, text: Text, main_thread: int, spent: Shares | None, now_ns: int
    ) -> None:
        began_at = time.time_ns() - (time.monotonic_ns() - sign.beat_ns)
        # A signal for a process that is stopped waits until it goes on.
        was_late = text.written_at - began_at > AFTER_NS + LATE_NS
        has_waited = spent is not None and spent.waited >= STARVED_WAITED
        evidence = await self._evidence(
            "",
            self._own,
            sign,
            text,
            main_thread,
            began_at=began_at,
            ns=now_ns - sign.beat_ns,
            spent=spent,
            is_stopped=was_late and not has_waited,
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
            left.text,
            stacks.main_thread if stacks is not None else 0,
            began_at=began_at,
            ns=ns,
            spent=None,
            is_stopped=False,
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
        text: Text,
        main_thread: int,
        *,
        began_at: int,
        ns: int,
        spent: Shares | None,
        is_stopped: bool,
    ) -> Evidence:
        dump = await dump_of(text, worker.pid, main_thread, self._sources)
        who = blamed(dump)
        route = await self._route_of([(frame.file, frame.line) for frame in who.frames])
        verdict = judge(who, spent, is_stopped=is_stopped)
        found = Found(
            id=f"{worker.id}@{sign.beat_ns}",
            worker=told_as,
            began_at=began_at,
            silent_ns=ns,
            in_flight=sign.in_flight,
            answer=dump,
            who=who,
            spent=spent,
            verdict=verdict,
            route=route,
            taken_by="itself",
        )
        return describe(found)
