"""Carries the request into the jobs that it gives to thread pools of `concurrent.futures`.

`loop.run_in_executor` and a pool of the app's own run a job without its context: what it asks of databases,
caches and pools would be nobody's. Wrapped is `ThreadPoolExecutor.submit`, and of the context nothing is
carried but our one variable. Other pools are left alone: a process's have no use for it, and what a plain
`threading.Thread` does says nothing of who waits for it; libraries start what outlives every request so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from perftui_agent.probes.patches import Patches
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.whose import request_now
from perftui_agent.wire.frames import Frame

TO_OTHER_INTERPRETERS = "InterpreterPoolExecutor"
"""A kind of thread pool (Python 3.14) that sends its jobs away by pickling them."""


class ExecutorProbe:
    """Wraps the one method."""

    name = "executors"

    def __init__(self) -> None:
        self._patches = Patches()

    def attach(self) -> ProbeStatus:
        """Wrap it, unless it is."""
        if not self._patches:
            submit = vars(ThreadPoolExecutor).get("submit")
            if submit is None:
                return "off: a ThreadPoolExecutor without submit"
            self._patches.replace(ThreadPoolExecutor, "submit", self._carrying(submit))
        return ON

    def detach(self) -> None:
        """Put the original back."""
        self._patches.take_back()

    def fill(self, _frame: Frame) -> None:
        """Nothing is read: what jobs do comes with their requests."""

    def _carrying(self, submit: Callable[..., Any]) -> Callable[..., Any]:
        patches = self._patches

        @functools.wraps(submit)
        def carrying_submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            request = request_now() if patches else None
            if request is None or type(self).__name__ == TO_OTHER_INTERPRETERS:
                return submit(self, fn, *args, **kwargs)
            return submit(self, _Job(request, fn), *args, **kwargs)

        return carrying_submit


class _Job:
    """A function to be called for a request."""

    __slots__ = ("_function", "_request")

    def __init__(self, request: RequestRecord, function: Callable[..., Any]) -> None:
        self._request = request
        self._function = function

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        token = current_request.set(self._request)
        try:
            return self._function(*args, **kwargs)
        finally:
            current_request.reset(token)

    def __repr__(self) -> str:
        return repr(self._function)
