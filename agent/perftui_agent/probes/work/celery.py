"""Follows Celery's tasks where they run in this process: eagerly, or in a worker beside the app.

By Celery's own signals, which its tasks send whoever runs them. A task that is sent to a worker elsewhere is
none of this process's.
"""

from __future__ import annotations

import contextlib
import sys
from contextvars import Token
from typing import Any

from perftui_agent.guard import Guard
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.probes.work.handed import HandedOver
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.wire.frames import Frame
from perftui_agent.work import Sink, WorkRecord, end, function_of

_UID = "perftui_agent"


class CeleryProbe:
    """Receives four signals."""

    name = "celery"

    def __init__(self, sink: Sink, guard: Guard) -> None:
        self._sink = sink
        self._guard = guard
        self._jobs = HandedOver(sink, "celery")
        self._running: dict[str, tuple[WorkRecord, Token[RequestRecord | None]]] = {}
        self._failed: dict[str, BaseException] = {}
        self._connected: list[tuple[Any, Any]] = []

    def attach(self) -> ProbeStatus:
        """Connect to the signals, unless that is done."""
        if self._connected:
            return ON
        signals = sys.modules.get("celery.signals")
        if signals is None:
            return NOT_IMPORTED
        for name, receiver in (
            ("before_task_publish", self._publishes),
            ("task_prerun", self._begins),
            ("task_failure", self._fails),
            ("task_postrun", self._ends),
        ):
            signal = getattr(signals, name, None)
            if signal is None:
                self.detach()
                return f"off: a Celery without {name}"
            signal.connect(receiver, weak=False, dispatch_uid=(_UID, name))
            self._connected.append((signal, (_UID, name)))
        return ON

    def detach(self) -> None:
        """Receive nothing any more."""
        while self._connected:
            signal, uid = self._connected.pop()
            signal.disconnect(dispatch_uid=uid)

    def fill(self, _frame: Frame) -> None:
        """Nothing is read: each job is told of as it ends."""

    def _publishes(self, headers: Any = None, **_more: Any) -> None:
        try:
            job = headers.get("id") if isinstance(headers, dict) else None
            if job:
                self._jobs.note(job)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a job
            self._guard.fault("probes.celery", error)

    def _begins(self, task_id: str = "", task: Any = None, **_more: Any) -> None:
        try:
            work = self._jobs.begin(task_id, function_of(getattr(task, "run", task)))
            self._running[task_id] = work, current_request.set(work)
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("probes.celery", error)

    def _fails(self, task_id: str = "", exception: BaseException | None = None, **_more: Any) -> None:
        if task_id in self._running and exception is not None:
            self._failed[task_id] = exception

    def _ends(self, task_id: str = "", **_more: Any) -> None:
        try:
            failed = self._failed.pop(task_id, None)
            running = self._running.pop(task_id, None)
            if running is None:
                return
            work, token = running
            with contextlib.suppress(ValueError):  # it ended in another context than it began in
                current_request.reset(token)
            end(self._sink, work, failed)
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("probes.celery", error)
