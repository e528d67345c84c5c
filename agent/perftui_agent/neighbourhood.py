"""Puts together what a worker does for its siblings: it sees who is silent, who ended, and what is left."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable

from perftui_agent import apps_routes
from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.inspect.actions import Actions
from perftui_agent.inspect.dump import take_dump
from perftui_agent.inspect.pyspy import PySpy
from perftui_agent.inspect.source import SourceReader
from perftui_agent.siblings.aftermath import Aftermath
from perftui_agent.siblings.endings import Endings
from perftui_agent.siblings.lookout import Lookout
from perftui_agent.siblings.neighbours import Neighbour, Neighbours
from perftui_agent.siblings.routes_of_stacks import RoutesOfStacks
from perftui_agent.siblings.supervision import own_supervisor
from perftui_agent.siblings.watch import Watch
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.lives import file_stem


def look_out(
    watch: Watch,
    worker: WorkerIdentity,
    neighbours: Neighbours,
    actions: Actions,
    *,
    may_dump: bool,
    tray: EvidenceTray,
    loop: Callable[[], AbstractEventLoop | None],
    guard: Guard,
) -> Lookout:
    """Have `watch` look out for the neighbours from now on; return what looks for silences."""
    spy, sources = PySpy(), SourceReader()

    async def look(request_id: str, neighbour: Neighbour) -> Dump | Refusal:
        return await take_dump(
            request_id,
            neighbour.worker.pid,
            taken_by=worker.pid,
            spy=spy,
            sources=sources,
            registration=neighbour.registration,
        )

    route_of = RoutesOfStacks(apps_routes.endpoints, apps_routes.walk, loop)
    watch.aftermath = Aftermath(
        worker,
        file_stem(worker),
        tray=tray,
        route_of=route_of,
        supervisor=own_supervisor,
        guard=guard,
    )
    watch.endings = Endings(neighbours, tray, guard)
    watch.lookout = Lookout(
        neighbours=neighbours,
        tray=tray,
        actions=actions,
        look=look if may_dump else None,
        route_of=route_of,
        supervisor=own_supervisor,
        left=watch.aftermath.tell_of_the_dead,
        own_pid=worker.pid,
        guard=guard,
    )
    return watch.lookout
