"""Follows arq's jobs where they run in this process: a `Worker` beside the app.

A job's failure is caught inside of arq, which only counts it; with several under way at once it can't be told
whose it was, and then none is said to have failed.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.probes.patches import Patches, bound_first
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.probes.work.handed import HandedOver
from perftui_agent.records import current_request
from perftui_agent.wire.frames import Frame
from perftui_agent.work import Function, Sink, WorkRecord, end, function_of

FROM_ELSEWHERE = "a job from elsewhere"

FAILED = "failed"
"""What a job failed with is not known."""


class ArqProbe:
    """Wraps what hands a job over, and what runs one."""

    name = "arq"

    def __init__(self, sink: Sink, guard: Guard) -> None:
        self._sink = sink
        self._guard = guard
        self._jobs = HandedOver(sink, "arq")
        self._patches = Patches()
        self._running_now: dict[int, WorkRecord] = {}
        self._beside: set[int] = set()
        """Those that had others beside them, by id."""

    def attach(self) -> ProbeStatus:
        """Wrap both, unless they are."""
        if self._patches:
            return ON
        redis = getattr(sys.modules.get("arq.connections"), "ArqRedis", None)
        worker = getattr(sys.modules.get("arq.worker"), "Worker", None)
        if redis is None:
            return NOT_IMPORTED
        if "enqueue_job" not in vars(redis) or (worker is not None and "run_job" not in vars(worker)):
            return "off: an arq that runs its jobs in another way"
        self._patches.replace(redis, "enqueue_job", self._handing(vars(redis)["enqueue_job"]))
        if worker is not None:
            self._patches.replace(worker, "run_job", self._running(vars(worker)["run_job"]))
        return ON

    def detach(self) -> None:
        """Put the originals back."""
        self._patches.take_back()

    def fill(self, _frame: Frame) -> None:
        """Nothing is read: each job is told of as it ends."""

    def _handing(self, original: Any) -> Callable[..., Awaitable[Any]]:
        enqueue_job = bound_first(original)

        @functools.wraps(original)
        async def handing(redis: Any, /, function: str, *args: Any, **kwargs: Any) -> Any:
            job = await enqueue_job(redis, function, *args, **kwargs)
            try:
                if job is not None and self._patches:
                    self._jobs.note(job.job_id, function)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a job
                self._guard.fault("probes.arq", error)
            return job

        return handing

    def _running(self, original: Any) -> Callable[..., Awaitable[Any]]:
        run_job = bound_first(original)

        @functools.wraps(original)
        async def running(worker: Any, job_id: str, *args: Any, **kwargs: Any) -> Any:
            work = self._begin(worker, job_id) if self._patches else None
            if work is None:
                return await run_job(worker, job_id, *args, **kwargs)
            failed_before = getattr(worker, "jobs_failed", 0)
            token = current_request.set(work)
            try:
                return await run_job(worker, job_id, *args, **kwargs)
            finally:
                current_request.reset(token)
                self._end(work, failed=getattr(worker, "jobs_failed", 0) > failed_before)

        return running

    def _begin(self, worker: Any, job_id: str) -> WorkRecord | None:
        try:
            name = self._jobs.name_of(job_id)
            function = getattr(worker, "functions", {}).get(name)
            called: Function = function_of(function.coroutine) if function is not None else name
            work = self._jobs.begin(job_id, called or FROM_ELSEWHERE)
            running = self._running_now
            running[id(work)] = work
            if len(running) > 1:
                self._beside.update(running)
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("probes.arq", error)
            return None
        return work

    def _end(self, work: WorkRecord, *, failed: bool) -> None:
        try:
            self._running_now.pop(id(work), None)
            if failed and id(work) not in self._beside:
                work.error = FAILED
            self._beside.discard(id(work))
            end(self._sink, work)
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("probes.arq", error)
