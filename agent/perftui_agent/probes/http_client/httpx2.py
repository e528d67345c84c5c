"""Sees every exchange of httpx2, which is made as httpx is, with a core of its own beneath."""

from __future__ import annotations

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.exchanges import CallSink
from perftui_agent.probes.http_client.httpx import HttpxProbe


def httpx2_probe(sink: CallSink, guard: Guard) -> HttpxProbe:
    """Return a probe for httpx2."""
    return HttpxProbe(sink, guard, "httpx2", "httpcore2")
