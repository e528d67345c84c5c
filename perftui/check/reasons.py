"""Why an objective is missed, and what to do next: the finding behind it, else where the time goes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from perftui.check.grammar import Objective
from perftui.check.judge import Judged, unit_text
from perftui.findings.causes import CAUSES, explains
from perftui.findings.figures import percent
from perftui.findings.rule import quoted
from perftui.model.happenings import Finding
from perftui.model.outside_summary import QuerySummary
from perftui.model.route_summary import RouteSummary
from perftui.model.slo import ALL
from perftui.model.summary import Summary

BEHIND: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sql_per_request": ("n-plus-one", "repeated-query"),
        "http_per_request": ("chatty-upstream", "upstream-errors", "client-per-request"),
        "bytes": ("large-payload",),
        "queue": (
            "loop-blocked",
            "gc-pause",
            "cpu-saturated",
            "cpu-throttled",
            "backlog-overflow",
            "queueing",
        ),
    }
)
"""The kinds of findings that stand behind a metric or a quantity that is no latency, errors or rate."""

A_GOOD_PART = 0.3
"""Of a route's time: so much is worth naming where no finding does."""


def explained(
    judged: Judged, summary: Summary, findings: Sequence[Finding], *, recorded: bool = False
) -> Judged:
    """Return a verdict with its cause and the next step, where it is missed or can't be told.

    A recording takes no requests, and nobody in it can be asked.
    """
    if judged.verdict == "met":
        return judged
    if judged.verdict == "undecided":
        return replace(judged, next=_more(judged, summary, recorded=recorded))
    if judged.holds:
        first = judged.holds[0]
        return replace(judged, cause=_told(first), next=first.advice)
    cause = next((each for each in findings if _is_behind(each, judged.objective, summary)), None)
    if cause is not None:
        return replace(judged, cause=_told(cause), next=cause.advice)
    return replace(
        judged,
        cause=_where_time_goes(judged.objective, summary),
        next=_look(judged, summary, recorded=recorded),
    )


def _is_behind(finding: Finding, objective: Objective, summary: Summary) -> bool:
    kinds = BEHIND.get(objective.metric) or BEHIND.get(objective.quantity)
    if kinds is not None:
        of_it = {finding.subject, finding.route, *finding.routes}
        return finding.kind in kinds and (
            objective.scope == ALL or objective.scope in of_it or bool(finding.workers)
        )
    return finding.kind in CAUSES and explains(finding, objective.scope, objective.slo, summary)


def _told(finding: Finding) -> str:
    return f"{finding.kind} {finding.subject}: {finding.sentence}"


def _where_time_goes(objective: Objective, summary: Summary) -> str:
    """Return what takes a good part of the time of a route, or of the costliest one."""
    if objective.quantity == "rate":
        return "fewer requests came than were promised, or each held up the next"
    if objective.metric == "sql_per_request":
        return _commonest(objective, summary)
    if objective.quantity != "latency":
        return ""
    row = summary.route(objective.scope) if objective.scope != ALL else _costliest(summary)
    if row is None or not row.latency.mean_ms:
        return ""
    parts = _parts(row)
    name = max(parts, key=parts.__getitem__)
    share = parts[name] / row.latency.mean_ms
    of = f" of {row.route}" if objective.scope == ALL else ""
    if share < A_GOOD_PART:
        return f"no finding; most of the time{of} is its own code"
    return f"no finding; {percent(min(share, 1.0))} of the time{of} is {name}"


def _commonest(objective: Objective, summary: Summary) -> str:
    """Return which statement most of them are, and where it comes from."""
    row = summary.route(objective.scope) if objective.scope != ALL else None
    requests = row.requests if row is not None else summary.totals.requests
    whole = row is None

    def often(query: QuerySummary) -> int:
        return query.count if whole else query.executions.get(objective.scope, 0)

    query = max(summary.queries, key=often, default=None)
    if query is None or not often(query) or not requests:
        return ""
    place = f" from {query.call_site}" if query.call_site else ""
    each = unit_text(objective, round(often(query) / requests, 2))
    return f"no finding; {each} of them are {quoted(query.statement or query.fingerprint)}{place}"


def _costliest(summary: Summary) -> RouteSummary | None:
    return next((row for row in summary.routes if not row.long_poll), None)


def _parts(row: RouteSummary) -> dict[str, float]:
    known = {
        "waiting before the app": row.queued.ms_per_request,
        "waiting for the loop": row.loop_wait_ms_per_request,
        "waiting for a database connection": row.pool_wait_ms_per_request,
        "waiting for a thread": row.threadpool_wait_ms_per_request,
        "waiting for locks in the database": row.lock_ms_per_request,
        "SQL": (row.sql_ms_per_request or 0.0) - (row.lock_ms_per_request or 0.0),
        "other services": row.http_ms_per_request,
        "caches": row.cache_ms_per_request,
        "serializing the response": row.serialize_ms_per_request,
    }
    return {name: each or 0.0 for name, each in known.items()}


def _look(judged: Judged, summary: Summary, *, recorded: bool) -> str:
    objective = judged.objective
    target = shlex.quote(summary.target)
    if objective.quantity == "rate":
        return f"see whether requests queue: perftui snapshot {target}"
    if objective.quantity == "share":
        return f"see which exceptions there are: perftui connect {target}"
    if objective.scope == ALL:
        return f"see which route costs most: perftui snapshot {target}"
    if objective.quantity in {"count", "bytes"}:
        rows = shlex.quote(f"route:{objective.scope.partition(' ')[2] or objective.scope}")
        return f"see what it does: perftui snapshot {target} --filter {rows}"
    if recorded:
        return f"see how its time was spent: perftui replay {target}, and open {objective.scope}"
    return f"perftui profile {target} --route {shlex.quote(objective.scope)} --for 10s"


def _more(judged: Judged, summary: Summary, *, recorded: bool) -> str:
    """Return what would decide it: for how long to watch at the present rate."""
    if judged.needs is None or not judged.n or not summary.window_s:
        if judged.n:
            return ""
        return "record while requests come" if recorded else "send requests while it watches"
    seconds = judged.needs * summary.window_s / judged.n
    length = f"{max(1.0, seconds):.0f}s" if seconds < 120 else f"{seconds / 60:.0f}m"
    if recorded:
        return f"record longer, or send more: at this rate {length} would tell"
    if seconds <= 14 * 60:
        return f"watch longer, or send more: at this rate --for {length} would tell"
    return f"send more: at this rate it would take {length}"
