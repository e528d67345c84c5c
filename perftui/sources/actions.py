"""What a worker is asked to do, by whoever can do it: the worker's own agent, else a sibling's.

An agent whose GIL is held can't answer, and in a few seconds a supervisor may kill its process: so a
silent worker is not waited for long, and a sibling is asked while there is something left to look at.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from perftui.sources.session import Phase
from perftui.sources.stream import NotAnsweredError
from perftui_agent.wire.actions import (
    Engine,
    Functions,
    FunctionsRequest,
    Memory,
    MemoryRequest,
    Mode,
    Profile,
    ProfileRequest,
    Progress,
)
from perftui_agent.wire.database import Database, DatabaseRequest
from perftui_agent.wire.dumps import Dump, DumpRequest, Refusal
from perftui_agent.wire.explain import ExplainRequest, Explanation
from perftui_agent.wire.messages import ActionRequest, ActionResult
from perftui_agent.wire.parts import RouteLabel, WorkerId
from perftui_agent.wire.registration import Registration
from perftui_agent.wire.stacks_on_signal import (
    FAULTHANDLER,
    NotWrittenError,
    limits_of,
    threads_of,
    written_stacks,
)
from perftui_agent.wire.standing import Standing, StandingRequest

OWN_S = 10.0
"""How long the agent of a live worker may take, or be silent while it goes on."""

SILENT_S = 2.5
"""How long that of a silent one may: uvicorn kills what doesn't answer for 5 s."""

SIBLING_S = 10.0

SPY_SEGMENT_S = 8.0
"""For so long nothing is heard of a profile by py-spy: it tells what it has seen when it writes it down."""

SNAPSHOT_S = 50.0
"""For so long nothing may be heard while a worker with millions of objects compares two snapshots of them."""

DATABASES_S = 45.0
"""For so long nothing may be heard while a worker asks eight databases, each of which has five seconds."""

_ids = itertools.count(1)


class Workers(Protocol):
    """Workers that can be asked: a live source, or one made up."""

    def phase(self, worker: WorkerId) -> Phase | None:
        """Return how a worker stands; None if there is no such worker."""

    def workers(self) -> Sequence[Registration]:
        """Return the workers that aren't gone."""

    async def ask(
        self,
        worker: WorkerId,
        request: ActionRequest,
        timeout_s: float,
        told: Callable[[Progress], None] | None = None,
        finish: asyncio.Event | None = None,
    ) -> ActionResult | Refusal:
        """Return a worker's answer; `NotAnsweredError` if there is none."""


async def take_dump(source: Workers, worker: WorkerId, *, locals_of: str = "") -> Dump | Refusal:
    """Return the stacks of every thread of `worker`, or why nobody could give them.

    Where neither it nor a sibling answers, it is asked to write them itself, by a signal. The variables of
    the function `locals_of` it alone can tell.
    """
    answer = await _asked(
        source,
        worker,
        lambda pid: DumpRequest(id=_new_id(), pid=pid, locals_of=locals_of),
        outside="dump",
        siblings=not locals_of,
    )
    if isinstance(answer, Refusal) and not locals_of:
        registration = next((each for each in source.workers() if each.worker.id == worker), None)
        return answer if registration is None else await _by_signal(registration, answer)
    return answer if isinstance(answer, Dump | Refusal) else _strange(answer)


async def _by_signal(registration: Registration, refusal: Refusal) -> Dump | Refusal:
    """Return what a worker writes of itself, if its agent is silent; else the refusal, and why not."""
    taken_at, began = time.time_ns(), time.monotonic_ns()
    try:
        written = await written_stacks(registration)
    except NotWrittenError as error:
        if registration.stacks is None:
            return refusal
        return Refusal(id=refusal.id, reason=f"{refusal.reason}; by a signal: {error}", advice=refusal.advice)
    return Dump(
        id=refusal.id,
        pid=registration.worker.pid,
        taken_at=taken_at,
        took_ns=time.monotonic_ns() - began,
        taken_by=0,
        method=FAULTHANDLER,
        threads=threads_of(written, registration.worker.pid),
        note="; ".join((f"written on a signal: {refusal.reason}", *limits_of(written))),
    )


async def take_profile(
    source: Workers,
    worker: WorkerId,
    *,
    for_s: float = 10.0,
    rate_hz: int = 100,
    mode: Mode = "wall",
    engine: Engine = "auto",
    by_route: bool = False,
    told: Callable[[Progress], None] | None = None,
    finish: asyncio.Event | None = None,
) -> Profile | Refusal:
    """Return where `worker` spends its time, or why nobody could tell.

    `told` gets what was seen so far, about once a second; once `finish` is set the profile ends with that.
    """

    def request(pid: int | None) -> ProfileRequest:
        return ProfileRequest(
            id=_new_id(),
            pid=pid,
            for_s=for_s,
            rate_hz=rate_hz,
            mode=mode,
            engine=engine,
            by_route=by_route,
        )

    answer = await _asked(
        source,
        worker,
        request,
        outside="record -o profile.svg",
        siblings=not by_route and engine != "sampler",
        longer_s=SPY_SEGMENT_S,
        told=told,
        finish=finish,
    )
    return answer if isinstance(answer, Profile | Refusal) else _strange(answer)


async def take_memory(
    source: Workers,
    worker: WorkerId,
    *,
    for_s: float = 60.0,
    told: Callable[[Progress], None] | None = None,
    finish: asyncio.Event | None = None,
) -> Memory | Refusal:
    """Return what grows in `worker`, or why it can't be told; see `take_profile`."""
    answer = await _asked(
        source,
        worker,
        lambda pid: MemoryRequest(id=_new_id(), pid=pid, for_s=for_s),
        outside="dump",
        siblings=False,
        longer_s=SNAPSHOT_S,
        told=told,
        finish=finish,
    )
    return answer if isinstance(answer, Memory | Refusal) else _strange(answer)


async def take_standing(source: Workers, worker: WorkerId) -> Standing | Refusal:
    """Return what the agent of `worker` may do there, or why it does not say."""
    answer = await _asked(
        source, worker, lambda pid: StandingRequest(id=_new_id(), pid=pid), outside="dump", siblings=False
    )
    return answer if isinstance(answer, Standing | Refusal) else _strange(answer)


async def take_database(
    source: Workers, worker: WorkerId, *, look: bool, engines: Sequence[str] = ()
) -> Database | Refusal:
    """Return what `worker` knows of its databases; with a `look`, what they say themselves."""
    answer = await _asked(
        source,
        worker,
        lambda pid: DatabaseRequest(id=_new_id(), pid=pid, look=look, engines=list(engines)),
        outside="dump",
        siblings=False,
        longer_s=DATABASES_S if look else 0.0,
    )
    return answer if isinstance(answer, Database | Refusal) else _strange(answer)


async def take_explanation(
    source: Workers, workers: Sequence[WorkerId], fingerprint: str
) -> Explanation | Refusal:
    """Return the plan of a statement, from the first of `workers` that has run it, or why there is none."""
    refusals: list[Refusal] = []
    for worker in workers:
        answer = await _asked(
            source,
            worker,
            lambda pid: ExplainRequest(id=_new_id(), pid=pid, fingerprint=fingerprint),
            outside="dump",
            siblings=False,
        )
        if isinstance(answer, Explanation):
            return answer
        refusals.append(answer if isinstance(answer, Refusal) else _strange(answer))
    known = [each for each in refusals if "knows no statement" not in each.reason]
    return next(iter((*known, *refusals)), Refusal(id="", reason="there is no worker to ask"))


async def take_functions(
    source: Workers,
    worker: WorkerId,
    *,
    route: RouteLabel,
    requests: int = 20,
    for_s: float = 60.0,
    told: Callable[[Progress], None] | None = None,
    finish: asyncio.Event | None = None,
) -> Functions | Refusal:
    """Return what the next requests of a route call in `worker`; see `take_profile`."""

    def request(pid: int | None) -> FunctionsRequest:
        return FunctionsRequest(id=_new_id(), pid=pid, route=route, requests=requests, for_s=for_s)

    answer = await _asked(source, worker, request, outside="dump", siblings=False, told=told, finish=finish)
    return answer if isinstance(answer, Functions | Refusal) else _strange(answer)


async def _asked(
    source: Workers,
    worker: WorkerId,
    request_for: Callable[[int | None], ActionRequest],
    *,
    outside: str,
    siblings: bool,
    longer_s: float = 0.0,
    told: Callable[[Progress], None] | None = None,
    finish: asyncio.Event | None = None,
) -> ActionResult | Refusal:
    """Ask the worker, then its siblings; `outside` is what py-spy is told where nobody answers."""
    phase = source.phase(worker)
    known = {each.worker.id: each.worker for each in source.workers()}
    if phase in {None, "gone"} or worker not in known:
        return Refusal(id="", reason="the worker is gone", advice="who is there: perftui ls")
    target = known[worker]
    tried: list[str] = []
    refusal: Refusal | None = None
    for asked, timeout_s in _ladder(source, worker, phase, known if siblings else ()):
        own = asked == worker
        request = request_for(None if own else target.pid)
        try:
            answer = await source.ask(asked, request, timeout_s + longer_s, told, finish)
        except NotAnsweredError as error:
            tried.append(str(error))
            continue
        if not isinstance(answer, Refusal):
            return answer
        # What a worker refuses for itself stands; what one sibling can't do another may.
        refusal = refusal or answer
        if own:
            return answer
    if refusal is not None:
        return refusal
    return Refusal(
        id="",
        reason="; ".join(tried) or f"nobody could be asked for worker {target.pid}",
        advice=f"as its user or root: py-spy {outside} --pid {target.pid}",
    )


def _ladder(
    source: Workers, worker: WorkerId, phase: Phase | None, known: Iterable[WorkerId]
) -> list[tuple[WorkerId, float]]:
    """Return whom to ask in turn, and how long to wait for each."""
    own = [] if phase == "connecting" else [(worker, SILENT_S if phase == "silent" else OWN_S)]
    siblings = [other for other in known if other != worker and source.phase(other) == "live"]
    return own + [(other, SIBLING_S) for other in siblings[:2]]


def _new_id() -> str:
    return f"{os.getpid()}-{next(_ids)}"


def _strange(answer: ActionResult) -> Refusal:
    return Refusal(
        id="", reason=f"the agent answered with a {type(answer).__name__}", advice="upgrade perftui-agent"
    )
