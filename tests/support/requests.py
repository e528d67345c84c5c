"""Requests as the HTTP probe writes them down, made without one."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from perftui_agent.records import RequestRecord, Scope
from perftui_agent.window.window import Window


class NoLabels:
    """Names no route."""

    def label(self, scope: Scope, status: int = 0) -> str:
        """Return nothing."""
        return ""


def begin(window: Window | None = None, started_ns: int | None = None, **written: Any) -> RequestRecord:
    """Return a request in flight that `window` knows of, with what else is `written` in its record."""
    record = RequestRecord()
    # As `probes.http.timing` does: what is written is found at an eighth of the price of a default.
    record.ended_ns = record.queue_ns = record.body_bytes = 0
    record.doubted = False
    record.head = record.streaming = record.parts = None
    record.started_ns = perf_counter_ns() if started_ns is None else started_ns
    record.labels = NoLabels()
    for name, value in written.items():
        assert name in RequestRecord.__annotations__, name
        setattr(record, name, value)
    if window is not None:
        window.begun.append(record)
    return record


def end(record: RequestRecord, route: str = "GET /", ns: int | None = None) -> None:
    """Have it end well, now or `ns` after its beginning."""
    record.route = route
    record.ended_ns = perf_counter_ns() if ns is None else record.started_ns + ns
