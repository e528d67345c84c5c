"""The stacks of a worker, from whoever can give them: the worker's own agent, else a sibling's.

An agent whose GIL is held can't answer, and in a few seconds a supervisor may kill its process: so a
silent worker is not waited for long, and a sibling is asked while there is something left to dump.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Protocol

from perftui.sources.session import Phase
from perftui.sources.stream import NotAnsweredError
from perftui_agent.wire.frames import Dump, DumpRequest, Refusal, WorkerId
from perftui_agent.wire.registration import Registration

OWN_S = 10.0
"""How long the agent of a live worker may take."""

SILENT_S = 2.5
"""How long that of a silent one may: uvicorn kills what doesn't answer for 5 s."""

SIBLING_S = 10.0

_ids = itertools.count(1)


class Workers(Protocol):
    """Workers that can be asked: a live source, or one made up."""

    def phase(self, worker: WorkerId) -> Phase | None:
        """Return how a worker stands; None if there is no such worker."""

    def workers(self) -> Sequence[Registration]:
        """Return the workers that aren't gone."""

    async def ask(self, worker: WorkerId, request: DumpRequest, timeout_s: float) -> Dump | Refusal:
        """Return a worker's answer; `NotAnsweredError` if there is none."""


async def take_dump(source: Workers, worker: WorkerId) -> Dump | Refusal:
    """Return the stacks of every thread of `worker`, or why nobody could give them."""
    phase = source.phase(worker)
    known = {each.worker.id: each.worker for each in source.workers()}
    if phase in {None, "gone"} or worker not in known:
        return Refusal(id="", reason="the worker is gone", advice="who is there: perftui ls")
    target = known[worker]
    tried: list[str] = []
    refusal: Refusal | None = None
    for asked, timeout_s in _ladder(source, worker, phase, known):
        own = asked == worker
        request = DumpRequest(id=f"{os.getpid()}-{next(_ids)}", pid=None if own else target.pid)
        try:
            answer = await source.ask(asked, request, timeout_s)
        except NotAnsweredError as error:
            tried.append(str(error))
            continue
        if isinstance(answer, Dump):
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
        advice=f"as its user or root: py-spy dump --pid {target.pid}",
    )


def _ladder(
    source: Workers, worker: WorkerId, phase: Phase | None, known: Iterable[WorkerId]
) -> list[tuple[WorkerId, float]]:
    """Return whom to ask in turn, and how long to wait for each."""
    own = [] if phase == "connecting" else [(worker, SILENT_S if phase == "silent" else OWN_S)]
    siblings = [other for other in known if other != worker and source.phase(other) == "live"]
    return own + [(other, SIBLING_S) for other in siblings[:2]]
