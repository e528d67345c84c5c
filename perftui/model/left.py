"""What workers have left that ended before anybody watched, told beside those that live.

Takes events with their moments, gives a dashboard as if somebody had watched all the time: who went, when,
and who took the place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from perftui.model.dashboard import Dashboard
from perftui.model.events import SourceEvent
from perftui.model.merge import merge
from perftui.model.timeline import with_arrival
from perftui_agent.wire.parts import WorkerId


def with_left(dashboard: Dashboard, told: Iterable[tuple[float, SourceEvent]]) -> Dashboard:
    """Return the dashboard with what the dead have told: by then those that live had begun, or came."""
    steps: list[tuple[float, SourceEvent | WorkerId]] = list(told)
    if not steps:
        return dashboard
    began_at = min(at for at, _ in steps)
    steps += [
        (track.identity.started_at, worker)
        for worker, track in dashboard.workers.items()
        if track.gone_at is None and track.identity.started_at > began_at
    ]
    dashboard = replace(dashboard, began_at=min(began_at, dashboard.began_at or began_at))
    for at, step in sorted(steps, key=lambda each: each[0]):
        if not isinstance(step, str):
            dashboard = merge(dashboard, step)
        elif dashboard.workers[step].replaces is None:
            dashboard = with_arrival(dashboard, step, at)
    return dashboard
