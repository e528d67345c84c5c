"""What a frame says of the calls of one upstream path by path, and of the clients made for them.

A host that answers a health check a hundred times a second hides its one slow path, and a client that all
share hides one that is made anew for each request of another route.
"""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import Count, LatencySketch
from perftui_agent.wire.parts import CodePlace, Nanoseconds, Part, RouteLabel


class UpstreamPath(Part):
    """Calls of an upstream for paths of one shape. The only one of its upstream says its name alone: all else
    is as the upstream has it."""

    path: str
    """With every id, name and token as `{…}`: `/users/{…}/orders`; `(other)` for those without room."""
    calls: Count = 0
    """Neither given up by the caller nor by the client's own pool."""
    errors: Count = 0
    """Of those, as an upstream's."""
    answer: LatencySketch | None = None
    ns: Nanoseconds = 0
    """The times of all its calls added up; …"""
    body_ns: Nanoseconds = 0
    held_ns: Nanoseconds = 0
    """… these are an upstream's."""
    spent: dict[RouteLabel, Nanoseconds] = msgspec.field(default_factory=dict)
    call_sites: dict[CodePlace, Count] = msgspec.field(default_factory=dict)
    failures: dict[str, Count] = msgspec.field(default_factory=dict)


class NewClients(Part):
    """Clients that requests of one route have made for themselves, at one place."""

    route: RouteLabel
    call_site: CodePlace = ""
    clients: Count = 0
    """Each has called: it is counted with its first call."""
    connect_ns: Nanoseconds = 0
    """What these first calls took to connect."""
    tls_ns: Nanoseconds = 0
