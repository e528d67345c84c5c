"""Jobs that were handed to a queue, until they begin in this process, by their id.

Nothing is written into their messages: what a broker carries stays as it was. A job that another process
takes is forgotten, and one that comes from another process is nobody's here.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any, NamedTuple

from perftui_agent.records import RequestRecord
from perftui_agent.whose import request_now
from perftui_agent.work import Function, Sink, WorkRecord, begin, settle

MAX_HANDED = 5_000
"""Those that are remembered; of more, the first are forgotten."""


class Handed(NamedTuple):
    """A job as it was handed over."""

    request: RequestRecord
    given_ns: int
    name: str


class HandedOver:
    """The jobs of one kind of queue."""

    def __init__(self, sink: Sink, kind: str) -> None:
        self._sink = sink
        self._kind = kind
        self._jobs: dict[Any, Handed] = {}

    def note(self, job: Any, name: str = "") -> None:
        """Remember who has handed over a job, if any request has."""
        request = request_now()
        if request is None:
            return
        jobs = self._jobs
        if len(jobs) >= MAX_HANDED:
            jobs.pop(next(iter(jobs)), None)
        jobs[job] = Handed(request, perf_counter_ns(), name)

    def name_of(self, job: Any) -> str:
        """Return what a job that waits is called."""
        handed = self._jobs.get(job)
        return "" if handed is None else handed.name

    def begin(self, job: Any, function: Function) -> WorkRecord:
        """Return the work of a job that begins now."""
        handed = self._jobs.pop(job, None)
        # Without a note it runs where it was given: at once, in the midst of its request; or it is another's.
        work = begin(self._sink, self._kind, function, request_now() if handed is None else handed.request)
        if handed is not None:
            work.given_ns = handed.given_ns
        settle(work)
        return work
