"""Watches this worker's neighbour, and tells of one that has fallen silent before its supervisor ends it.

A worker whose GIL is held can tell nothing, and uvicorn ends it after five seconds: then there is nobody left
to ask. So after two seconds its neighbour takes a dump of it, once, says what it was, and keeps that with its
own frames. What became of the silence is added when it is known: it went on, or it was ended, and by whom.

Looking is a part of the agent's beat, four times a second, some ten microseconds each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.inspect.actions import Action, Actions
from perftui_agent.inspect.process_state import read_state
from perftui_agent.siblings import claim
from perftui_agent.siblings.account import Found, describe
from perftui_agent.siblings.aftermath import Left, RouteOf, drop_what_is_left_by, left_by
from perftui_agent.siblings.neighbours import Neighbour, Neighbours
from perftui_agent.siblings.pulse import read_beat, read_pulse
from perftui_agent.siblings.ring import SILENT_NS, SUSPECT_NS, Awake, looked_at
from perftui_agent.siblings.supervision import Supervisor
from perftui_agent.siblings.verdict import NOBODY, blamed, judge
from perftui_agent.toll import Toll, shares, take_toll
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.incidents import Evidence

EVERY_NS = 250_000_000
"""How often the neighbour is looked at."""

TRIES = 8
"""For a dump, while another action is under way."""

TRY_AGAIN_S = 0.3

WENT_ON, ENDED = "went on", "ended"

KEPT_S = 30.0
"""A silence that lasts longer is told of as far as it has come, again and again."""


Look: TypeAlias = Callable[[str, Neighbour], Awaitable[Dump | Refusal]]
"""Takes a dump of a neighbour, for the request of an id."""


@dataclass(slots=True)
class Silence:
    """One silence of one neighbour, from the suspicion to its end."""

    neighbour: Neighbour
    beat_ns: int
    """The last sign."""
    toll: Toll
    suspected_ns: int
    """When its CPU times were noted."""
    claim: Path | None = None
    task: asyncio.Task[None] | None = None
    evidence: Evidence | None = None
    told_ns: int = 0

    @property
    def id(self) -> str:
        """Unlike that of any other silence."""
        return f"{self.neighbour.worker.id}@{self.beat_ns}"


class Lookout:
    """Watches for one worker. Belongs to the agent's thread."""

    def __init__(
        self,
        *,
        neighbours: Neighbours,
        tray: EvidenceTray,
        actions: Actions,
        look: Look | None,
        route_of: RouteOf,
        supervisor: Callable[[], Supervisor | None],
        left: Callable[[Left], None],
        own_pid: int,
        guard: Guard,
    ) -> None:
        self._neighbours = neighbours
        self._tray = tray
        self._actions = actions
        self._look = look
        """None: nobody may be looked at here."""
        self._route_of = route_of
        self._supervisor = supervisor
        self._left = left
        """Takes what one that ended in silence has written itself: while we were silent as well, for one."""
        self._own_pid = own_pid
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        now_ns = time.monotonic_ns()
        self._awake = Awake(now_ns, now_ns)
        self._silences: dict[str, Silence] = {}
        """By worker."""
        self._gone: set[str] = set()
        """Neighbours that have ended, and whose entries are still there."""

    def glance(self, now_ns: int) -> None:
        """Look at the neighbour, if it is time to; on the agent's thread, as part of its beat."""
        if now_ns - self._awake.looked_ns < EVERY_NS:
            return
        self._awake = self._awake.looks(now_ns)
        self._neighbours.look()
        if not (self._neighbours.ring or self._silences):
            self._gone.clear()
            return
        beats: dict[str, int] = {}

        def silent_ns(neighbour: Neighbour) -> int | None:
            worker = neighbour.worker.id
            if worker in self._gone:
                return None
            beat_ns = beats[worker] = read_beat(neighbour.pulse) or 0
            return now_ns - beat_ns if beat_ns else None

        self._gone &= {each.worker.id for each in self._neighbours.ring}
        for neighbour, for_ns in looked_at(self._neighbours.ring, silent_ns):
            if for_ns >= SUSPECT_NS:
                self._suspect(neighbour, beats[neighbour.worker.id], now_ns)
        for silence in list(self._silences.values()):
            self._follow(silence, now_ns)

    def look_what_is_left(self) -> None:
        """Take what workers have left that ended in silence before this one came."""
        self._neighbours.look()
        for neighbour in self._neighbours.ring:
            if not neighbour.is_alive():
                self._has_gone(neighbour)

    def close(self) -> None:
        """Give up what is under way."""
        for silence in self._silences.values():
            if silence.task is not None:
                silence.task.cancel()
            if silence.claim is not None:
                claim.release(silence.claim)
        self._silences.clear()

    def _suspect(self, neighbour: Neighbour, beat_ns: int, now_ns: int) -> None:
        worker = neighbour.worker
        silence = self._silences.get(worker.id)
        if silence is None or silence.beat_ns != beat_ns:
            if not neighbour.is_alive():
                self._has_gone(neighbour)
                return
            if silence is None:
                self._silences[worker.id] = Silence(neighbour, beat_ns, take_toll(worker.pid), now_ns)
            return
        is_due = now_ns - beat_ns >= SILENT_NS and self._awake.may_judge(now_ns)
        if silence.task is None and is_due:
            mine = claim.claim_of(neighbour.directory, neighbour.stem, beat_ns)
            silence.claim = mine if claim.take(mine) else None
            silence.task = self._loop.create_task(self._examine(silence))
            # The loop waits in its selector, which is where we are called from.
            self._loop.call_soon_threadsafe(lambda: None)

    def _follow(self, silence: Silence, now_ns: int) -> None:
        """See whether a silence is over, and tell of it."""
        if silence.task is not None and not silence.task.done():
            return
        neighbour = silence.neighbour
        beat_ns = read_beat(neighbour.pulse)
        if not neighbour.is_alive():
            # One that could not be looked at may have written its own stacks.
            is_told = silence.evidence is not None and bool(silence.evidence.stack)
            if is_told:
                # Before the claim goes: who comes to look finds one or the other gone.
                drop_what_is_left_by(neighbour)
            self._over(silence, ENDED, now_ns)
            self._has_gone(neighbour, is_told=is_told)
        elif beat_ns != silence.beat_ns:
            self._over(silence, WENT_ON, beat_ns or now_ns)
        elif silence.evidence is not None and now_ns - silence.told_ns >= KEPT_S * 1e9:
            self._tell(silence, msgspec.structs.replace(silence.evidence, ns=now_ns - silence.beat_ns))

    def _has_gone(self, neighbour: Neighbour, *, is_told: bool = False) -> None:
        self._gone.add(neighbour.worker.id)
        if not is_told and (left := left_by(neighbour)) is not None:
            self._left(left)

    def _over(self, silence: Silence, outcome: str, at_ns: int) -> None:
        del self._silences[silence.neighbour.worker.id]
        if silence.claim is not None:
            claim.release(silence.claim)
        if silence.evidence is None:
            return
        ns, by = max(0, at_ns - silence.beat_ns), ""
        if outcome == ENDED:
            supervisor = self._supervisor()
            if supervisor is not None and supervisor.has_ended(silence.neighbour.worker, ns / 1e9):
                by = supervisor.shown
        # What was taken has been told already, and is large.
        self._tell(
            silence,
            msgspec.structs.replace(silence.evidence, ns=ns, outcome=outcome, ended_by=by),
        )

    def _tell(self, silence: Silence, evidence: Evidence) -> None:
        silence.evidence, silence.told_ns = evidence, time.monotonic_ns()
        self._tray.tell(evidence)

    async def _examine(self, silence: Silence) -> None:
        if silence.claim is None:
            return  # somebody else does
        with self._guard.guarding("siblings"):
            neighbour = silence.neighbour
            pid = neighbour.worker.pid
            state = read_state(pid)
            over_ns = time.monotonic_ns() - silence.suspected_ns
            toll = take_toll(pid)
            answer = await self._taken(silence)
            sign = read_pulse(neighbour.pulse)
            if sign is None or sign.beat_ns != silence.beat_ns:
                return  # it was over before it was looked at
            who = blamed(answer) if isinstance(answer, Dump) else NOBODY
            is_stopped = state is not None and state.letter in "Tt"
            if who.waits_for_events and not is_stopped:
                return  # the app is not what is silent
            thread = who.thread if who.thread in toll else pid
            spent = shares(silence.toll.get(thread), toll.get(thread), over_ns)
            verdict = judge(who, spent, is_stopped=is_stopped)
            route = await self._route_of([(frame.file, frame.line) for frame in who.frames])
            now_ns = time.monotonic_ns()
            found = Found(
                id=silence.id,
                worker=neighbour.worker.id,
                began_at=time.time_ns() - (now_ns - silence.beat_ns),
                silent_ns=now_ns - silence.beat_ns,
                in_flight=sign.in_flight,
                answer=answer,
                who=who,
                spent=spent,
                verdict=verdict,
                route=route,
                taken_by=f"sibling {self._own_pid}",
            )
            self._tell(silence, describe(found))

    async def _taken(self, silence: Silence) -> Dump | Refusal:
        """Return the neighbour's dump: admitted, limited and on record as any that somebody asks for."""
        look, neighbour = self._look, silence.neighbour
        pid = neighbour.worker.pid
        silent_s = (time.monotonic_ns() - silence.beat_ns) / 1e9
        action = Action(
            request_id=silence.id,
            what=f"dump of pid {pid}, silent for {silent_s:.1f} s,",
            peer=f"its sibling, pid {self._own_pid}",
        )
        if look is None:
            return self._actions.refuse(action, "actions are switched off in this service", "")
        admitted = False

        async def do() -> Dump | Refusal:
            nonlocal admitted
            admitted = True
            return await look(silence.id, neighbour)

        for _ in range(TRIES):
            answer = await self._actions.run(action, do)
            if admitted or not neighbour.is_alive():
                break
            await asyncio.sleep(TRY_AGAIN_S)
        return answer
