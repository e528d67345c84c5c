"""State as a sign and a style: whoever sees no colour reads the sign, and the other way round."""

from __future__ import annotations

from perftui.model.happenings import Severity, SloVerdict
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.present.text.cells import Cell, Style

SIGNS: dict[Severity, str] = {"high": "▲", "medium": "△", "low": "·"}

STYLES: dict[Severity, Style] = {"high": "high", "medium": "medium", "low": "faint"}

RANK: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}

MANY_ERRORS = 0.05
"""From this share of 5xx on, a route is high, below it medium."""

LAG_MS = 100.0
"""A loop whose p99 lag is past this keeps requests waiting that did nothing wrong."""


def sign(severity: Severity) -> Cell:
    """Return the sign of a severity in its colour."""
    return Cell(SIGNS[severity], STYLES[severity])


def verdict_cells(verdict: SloVerdict) -> tuple[Cell, ...]:
    """Return a target and how it stands: `p95<200ms ✗`."""
    if verdict.met is None:
        return (Cell(f"{verdict.slo} ", "dim"), Cell("–", "faint"))
    if verdict.met:
        return (Cell(f"{verdict.slo} ", "dim"), Cell("✓", "good"))
    return (Cell(f"{verdict.slo} ", "bright"), Cell("✗", "high"))


def missed(summary: Summary, scope: str) -> frozenset[str]:
    """Return the metrics (`p95`, `errors`, `rps` …) whose target is missed by a route, or by `all`."""
    names = (
        verdict.slo.replace("=", "<").replace(">", "<").split("<")[0].strip()
        for verdict in summary.slo
        if verdict.scope == scope and verdict.met is False
    )
    return frozenset("errors" if name.startswith("err") else name for name in names)


def route_severity(route: RouteSummary, missed_metrics: frozenset[str]) -> Severity:
    """Return how much a route asks to be looked at."""
    if missed_metrics or (route.errors and route.error_rate >= MANY_ERRORS):
        return "high"
    return "medium" if route.errors else "low"


def worker_severity(worker: WorkerSummary) -> Severity:
    """Return how much a worker asks to be looked at."""
    if worker.state in {"blocked", "silent"}:
        return "high"
    if worker.state == "gone" or (worker.loop_lag_p99_ms or 0.0) >= LAG_MS:
        return "medium"
    return "low"


def worker_sign(worker: WorkerSummary) -> Cell:
    """Return the sign before a worker's pid; the gone have one of their own."""
    if worker.state == "gone":
        return Cell("✗", "medium")
    return sign(worker_severity(worker))


def worker_style(worker: WorkerSummary) -> Style:
    """Return the style of a worker's state word."""
    return {"blocked": "alarm", "silent": "alarm", "gone": "medium", "ok": "dim"}[worker.state]
