"""`db-connections`: the database server has no connections left, or hardly any.

Told of when a worker had a reason to ask: one that could not connect, or has to open more than its pool's
size. The next worker that starts, or the next deploy, is who can't connect.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import percent
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, quoted
from perftui.model.database import DatabaseView
from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary

KIND = "db-connections"

USED = Bar(0.9, 0.85)
"""Of those that are not kept for superusers."""

HIGH = Bar(0.97, 0.95)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each server that refuses connections or is about to."""
    for view in summary.databases:
        share = _share(view)
        if view.look.full or USED.reached(share, view.name in standing):
            yield _finding(summary, view, share, standing.get(view.name))


def _share(view: DatabaseView) -> float | None:
    used, most = view.look.connections_used, view.open_connections
    return used / most if used is not None and most else None


def _finding(summary: Summary, view: DatabaseView, share: float | None, was: Severity | None) -> Finding:
    look = view.look
    high = look.full or HIGH.reached(share, was == "high")
    by = ", ".join(f"{name} {number}" for name, number in list(look.applications.items())[:3])
    if look.full:
        sentence = f"the server takes no more connections: {quoted(look.refused)}"
    else:
        used = f"{look.connections_used} of {view.open_connections} connections used"
        sentence = f"{used} ({percent(share or 0.0)})" + (f": {by}" if by else "")
    most = sum(pool.max or 0 for pool in summary.pools if pool.name.partition(" #")[0] == view.name)
    return Finding(
        kind=KIND,
        severity="high" if high else "medium",
        subject=quoted(view.name, MAX_SUBJECT),
        sentence=sentence,
        evidence={
            "database": view.name,
            "used": look.connections_used,
            "max": look.connections_max,
            "reserved": look.connections_reserved,
            "applications": dict(look.applications),
            "refused": look.refused or None,
            "pools_may_open": most or None,
        },
        advice="Add up what all pools of all workers may open (pool_size + max_overflow, times workers, "
        "times replicas): make them smaller, put a pooler in between, or raise max_connections.",
        impact=1000.0 if high else 100.0,
        key=view.name,
        pool=next((pool.name for pool in summary.pools if pool.name == view.look.engine), None),
    )


CRITERIA = Criteria(
    kind=KIND,
    means="the server's connections run out",
    subject="database",
    when=(At("of its connections that are used", USED, "share"), "or it refuses one"),
    high=graded_by(HIGH, "share"),
)
