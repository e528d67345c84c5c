"""Follows taskiq's tasks where they run in this process: by a broker in memory, or a receiver of its own."""

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
from perftui_agent.work import Sink, WorkRecord, end, function_of


class TaskiqProbe:
    """Wraps what hands a task over, and what runs one."""

    name = "taskiq"

    def __init__(self, sink: Sink, guard: Guard) -> None:
        self._sink = sink
        self._guard = guard
        self._jobs = HandedOver(sink, "taskiq")
        self._patches = Patches()

    def attach(self) -> ProbeStatus:
        """Wrap both, unless they are."""
        if self._patches:
            return ON
        kicker = getattr(sys.modules.get("taskiq.kicker"), "AsyncKicker", None)
        receiver = getattr(sys.modules.get("taskiq.receiver.receiver"), "Receiver", None)
        if kicker is None or receiver is None:
            return NOT_IMPORTED
        if "kiq" not in vars(kicker) or "run_task" not in vars(receiver):
            return "off: a taskiq that runs its tasks in another way"
        self._patches.replace(kicker, "kiq", self._handing(vars(kicker)["kiq"]))
        self._patches.replace(receiver, "run_task", self._running(vars(receiver)["run_task"]))
        return ON

    def detach(self) -> None:
        """Put the originals back."""
        self._patches.take_back()

    def fill(self, _frame: Frame) -> None:
        """Nothing is read: each task is told of as it ends."""

    def _handing(self, original: Any) -> Callable[..., Awaitable[Any]]:
        kiq = bound_first(original)

        @functools.wraps(original)
        async def handing(kicker: Any, /, *args: Any, **kwargs: Any) -> Any:
            task = await kiq(kicker, *args, **kwargs)
            try:
                if self._patches:
                    self._jobs.note(task.task_id)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a task
                self._guard.fault("probes.taskiq", error)
            return task

        return handing

    def _running(self, original: Any) -> Callable[..., Awaitable[Any]]:
        run_task = bound_first(original)

        @functools.wraps(original)
        async def running(receiver: Any, target: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
            work = self._begin(target, message) if self._patches else None
            if work is None:
                return await run_task(receiver, target, message, *args, **kwargs)
            token = current_request.set(work)
            error: BaseException | None = None
            try:
                result = await run_task(receiver, target, message, *args, **kwargs)
                error = getattr(result, "error", None)
                return result
            except BaseException as failure:
                error = failure
                raise
            finally:
                current_request.reset(token)
                self._end(work, error)
                error = None

        return running

    def _begin(self, target: Any, message: Any) -> WorkRecord | None:
        try:
            return self._jobs.begin(message.task_id, function_of(target))
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("probes.taskiq", error)
            return None

    def _end(self, work: WorkRecord, error: BaseException | None) -> None:
        try:
            end(self._sink, work, error)
        except Exception as fault:  # noqa: BLE001 - as above
            self._guard.fault("probes.taskiq", fault)
