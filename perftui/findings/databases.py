"""What the findings about a database have in common."""

from __future__ import annotations

from perftui.model.database import SessionRow
from perftui.model.summary import Summary
from perftui_agent.wire.parts import CodePlace


def place_of(summary: Summary, row: SessionRow) -> CodePlace | None:
    """Return the line at which the request waits that has a session, if that is certain."""
    there = [
        each.request.waiting_at
        for each in summary.in_flight
        if each.worker == row.worker and each.request.route == row.route
    ]
    return there[0] if len(there) == 1 and row.in_flight else None
