"""The one road of all actions: a request in, its progress, then its result or a refusal out.

An action is refused where actions are switched off, for a process that is no registered sibling, and while
another one is under way or too many have been. It is on record in the app's log, ends when whoever asked
leaves or asks for its end, and no fault of it gets further than a sentence. Each stands in a file of its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias

from perftui_agent.guard import Guard
from perftui_agent.inspect.actions import Action, Actions
from perftui_agent.inspect.database.look import Databases, take_database
from perftui_agent.inspect.dump import take_dump
from perftui_agent.inspect.explain.action import take_explanation
from perftui_agent.inspect.explain.explainer import Explainer
from perftui_agent.inspect.functions import Traffic, take_functions
from perftui_agent.inspect.insight import Inside
from perftui_agent.inspect.memory import Endpoints, take_memory
from perftui_agent.inspect.profile import take_profile
from perftui_agent.inspect.pyspy import PySpy
from perftui_agent.inspect.serving import LoopEyes
from perftui_agent.inspect.source import SourceReader
from perftui_agent.inspect.standing import take_standing
from perftui_agent.inspect.targets import allowed_targets
from perftui_agent.inspect.text import printable
from perftui_agent.wire.actions import FunctionsRequest, MemoryRequest, ProfileRequest, Progress
from perftui_agent.wire.database import DatabaseRequest
from perftui_agent.wire.dumps import DumpRequest, Refusal
from perftui_agent.wire.explain import ExplainRequest
from perftui_agent.wire.messages import ActionRequest, ActionResult
from perftui_agent.wire.registration import Registration
from perftui_agent.wire.standing import Standing, StandingRequest

Tell: TypeAlias = Callable[[Progress], Awaitable[None]]
"""Takes what is to be told while an action goes on."""

MAX_ID_CHARACTERS = 200

_NAMES = {
    DumpRequest: "dump",
    ProfileRequest: "profile",
    MemoryRequest: "memory watch",
    StandingRequest: "check of rights",
    FunctionsRequest: "functions profile",
    DatabaseRequest: "database view",
    ExplainRequest: "plan",
}
"""What each is called in the log and in refusals."""


async def _tell_nobody(_progress: Progress) -> None:
    """Tell nobody."""


class Inspector:
    """What clients may have done to this worker and its siblings. Belongs to the agent's loop."""

    def __init__(
        self,
        own_pid: int,
        *,
        actions_allowed: bool,
        registrations: Callable[[], Iterable[Registration]],
        eyes: LoopEyes | None = None,
        endpoints: Endpoints = tuple,
        probes: Callable[[], Mapping[str, str]] = dict,
        traffic: Traffic | None = None,
        databases: Databases | None = None,
        explainer: Explainer | None = None,
        guard: Guard | None = None,
        actions: Actions | None = None,
        spy: PySpy | None = None,
    ) -> None:
        self._own_pid = own_pid
        self._actions_allowed = actions_allowed
        self._registrations = registrations
        self._eyes = eyes
        self._endpoints = endpoints
        self._probes = probes
        self._traffic = traffic
        self._databases = databases
        self._explainer = explainer
        self._guard = guard or Guard()
        self._actions = actions or Actions()
        self._spy = spy or PySpy()
        self._sources = SourceReader()

    async def act(
        self,
        request: ActionRequest,
        *,
        peer: str,
        tell: Tell = _tell_nobody,
        finish: asyncio.Event | None = None,
    ) -> ActionResult | Refusal:
        """Do what `request` asks, to this worker or to the sibling with its pid.

        `peer` says who asks, for the audit trail: `uid 1000, pid 77`. `tell` gets the progress; once `finish`
        is set, the result is what there is. Never raises an Exception.
        """
        if len(request.id) > MAX_ID_CHARACTERS:
            return Refusal(id=printable(request.id, MAX_ID_CHARACTERS), reason="the request's id is too long")
        pid = self._own_pid if request.pid is None else request.pid
        what = f"{_name_of(request)} of pid {pid}{_asked_for(request)}"
        action = Action(request_id=request.id, what=what, peer=printable(peer, 100))
        if not self._actions_allowed:
            if isinstance(request, StandingRequest):
                return await self._standing(request)  # nothing is done: facts alone
            advice = "start it without PERFTUI_ACTIONS=0"
            return self._actions.refuse(action, "actions are switched off in this service", advice)

        async def do() -> ActionResult | Refusal:
            if not self._may_inspect(pid):
                return Refusal(
                    id=request.id,
                    reason=f"pid {pid} is no worker of this service that is registered here",
                    advice="perftui ls shows the workers there are",
                )
            return await self._do(request, pid, tell, finish or asyncio.Event(), action.peer)

        return await self._actions.run(action, do)

    async def _do(
        self, request: ActionRequest, pid: int, tell: Tell, finish: asyncio.Event, peer: str
    ) -> ActionResult | Refusal:
        if isinstance(request, DatabaseRequest):
            return await self._database(request, pid, peer)
        if isinstance(request, ProfileRequest):
            eyes = self._eyes if pid == os.getpid() else None
            return await take_profile(request, pid, eyes=eyes, tell=tell, finish=finish)
        if isinstance(request, MemoryRequest):
            return await take_memory(request, pid, endpoints=self._endpoints, tell=tell, finish=finish)
        if isinstance(request, StandingRequest):
            return await self._standing(request)
        if isinstance(request, ExplainRequest):
            return await take_explanation(request, pid, self._own_pid, self._explainer)
        if isinstance(request, FunctionsRequest):
            return await take_functions(
                request, pid, traffic=self._traffic, guard=self._guard, tell=tell, finish=finish
            )
        eyes = self._eyes if pid == os.getpid() else None
        if request.locals_of and eyes is None:
            return Refusal(
                id=request.id,
                reason=f"only worker {pid} itself can tell of its variables, and it does not answer",
                advice=f"without them: perftui dump --worker {pid}",
            )
        return await take_dump(
            request.id,
            pid,
            taken_by=self._own_pid,
            nonblocking=request.nonblocking,
            spy=self._spy,
            sources=self._sources,
            registration=next((one for one in self._known() if one.worker.pid == pid), None),
            inside=Inside(eyes, request.locals_of) if eyes is not None else None,
            locals_of=request.locals_of,
        )

    async def _database(self, request: DatabaseRequest, pid: int, peer: str) -> ActionResult | Refusal:
        if self._databases is None or pid != os.getpid():
            return Refusal(id=request.id, reason=f"only worker {pid} itself can tell of its databases")
        return await take_database(request, pid, databases=self._databases, why=peer)

    async def _standing(self, request: StandingRequest) -> Standing:
        return await take_standing(
            request.id,
            self._own_pid,
            targets=self._siblings(),
            actions_allowed=self._actions_allowed,
            probes=self._probes(),
        )

    def _may_inspect(self, pid: int) -> bool:
        return pid == self._own_pid or pid in self._siblings()

    def _siblings(self) -> set[int]:
        known = self._known()
        own = next((one for one in known if one.worker.pid == self._own_pid), None)
        return allowed_targets(own, known) if own is not None else set()

    def _known(self) -> list[Registration]:
        try:
            return list(self._registrations())
        except OSError:  # a runtime directory that can't be trusted, or read, names no siblings
            return []


def _asked_for(request: ActionRequest) -> str:
    """Return what of the app's data is to leave the process, for the audit trail."""
    if isinstance(request, DumpRequest) and request.locals_of:
        return f" with the variables of {printable(request.locals_of, 100)}"
    if isinstance(request, ExplainRequest):
        return f" for statement {printable(request.fingerprint, 40)}"
    return ""


def _name_of(request: ActionRequest) -> str:
    return _NAMES[type(request)]
