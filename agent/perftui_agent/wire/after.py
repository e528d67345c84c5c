"""What goes on after the response: background tasks, jobs, and tasks that outlive their request."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from perftui_agent.sketch import Count, LatencySketch

Nanoseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A duration."""


class BackgroundFrame(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What one function did in a frame's span for one route's requests, after they had been answered."""

    name: str
    """`app/mail.py:12 send`, or the name that a queue knows it by."""
    kind: str
    """`background` (Starlette's and FastAPI's), `task` (asyncio's, outlived its request), `thread` (a job of
    a thread pool that did), `celery`, `taskiq`, `arq`."""
    route: str = ""
    """Whose requests gave it; empty where nobody knows."""
    latency: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """Of those that ended, from their beginning to their end; its count is how many that were."""
    wait: LatencySketch | None = None
    """From being given away to beginning, of what has to wait for its turn."""
    errors: Count = 0
    failures: dict[str, Count] = {}
    """Errors by what they were."""
    running: Count = 0
    """Those under way at the end of the span, and how old the oldest is."""
    oldest_ns: Nanoseconds = 0
    threaded: Count = 0
    """Of those that ended, the ones that took a thread of the pool that sync endpoints run in."""
    held: Count = 0
    """Of those that ended, the ones that held a response open, and …"""
    held_ns: Nanoseconds = 0
    """… for how long clients waited for that."""
    sql_count: Count = 0
    """What they asked after the response: no part of what their route's requests ask."""
    sql_ns: Nanoseconds = 0
    transaction_ns: Nanoseconds = 0
    cache_count: Count = 0
    cache_ns: Nanoseconds = 0
    http_count: Count = 0
    http_ns: Nanoseconds = 0
