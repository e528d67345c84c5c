"""`upstream-errors`: calls of another service fail: no answer, a time-out, a 5xx.

A time-out at the client's own pool is the client's, and a call that its caller gives up nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.cost import FAILED_MS
from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import percent, plural
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, graded, quoted
from perftui.findings.upstreams import MAX_PATH, OTHER, by_host, failures_of, routes_of
from perftui.model.happenings import Finding, Severity
from perftui.model.outside_summary import CalledSummary, UpstreamSummary
from perftui.model.summary import Summary
from perftui.record import Record

KIND = "upstream-errors"

MIN_ERRORS = 5
"""One or two that fail are what networks do."""

SHARE = Bar(0.05, 0.03)
MEDIUM = Bar(0.1, 0.08)
HIGH = Bar(0.25, 0.2)

NEARLY_ALL = 0.8
"""Of a host's failures: the path that has them is named."""

POOL_TIMEOUT = "PoolTimeout"


class _Failing(Record, frozen=True):
    """Calls of one host: all of them, or those for paths of one shape."""

    row: UpstreamSummary
    """Where most fail."""
    callers: tuple[UpstreamSummary | CalledSummary, ...]
    errors: int
    calls: int
    path: str | None = None

    def stands(self, stands: bool) -> bool:
        """Say whether it is enough."""
        return self.errors >= MIN_ERRORS and SHARE.reached(self.errors / max(self.calls, 1), stands)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each host whose calls fail, or those for one of its paths."""
    for host, rows in by_host(summary):
        stands = host in standing
        failing = next((each for each in _candidates(rows) if each.stands(stands)), None)
        if failing is not None:
            yield _finding(summary, host, failing, standing.get(host))


def _candidates(rows: list[UpstreamSummary]) -> list[_Failing]:
    """Return the whole host and its paths; first what says most."""
    whole = _Failing(
        row=max(rows, key=lambda row: row.errors),
        callers=tuple(row for row in rows if row.errors),
        errors=sum(row.errors - row.pool_timeouts for row in rows),
        calls=sum(row.count - row.cancelled - row.pool_timeouts for row in rows),
    )
    paths = [
        _Failing(row=row, callers=(path,), errors=path.errors, calls=path.calls, path=path.path)
        for row in rows
        for path in row.paths
        if path.path != OTHER
    ]
    paths.sort(key=lambda each: -each.errors)
    of_nearly_all = [each for each in paths if each.errors >= NEARLY_ALL * whole.errors]
    return [*of_nearly_all, whole, *paths]


def _finding(summary: Summary, host: str, failing: _Failing, was: Severity | None) -> Finding:
    row, errors, calls = failing.row, failing.errors, failing.calls
    failures = {name: count for name, count in failures_of(failing.callers).items() if name != POOL_TIMEOUT}
    named = ", ".join(f"{count:,}× {name}" for name, count in list(failures.items())[:3])
    routes = routes_of(failing.callers, summary)
    # How often one path was tried again is not told.
    whole = [each for each in failing.callers if isinstance(each, UpstreamSummary)]
    timeouts = sum(each.timeouts - each.pool_timeouts for each in whole)
    retries = sum(each.retries for each in whole)
    again = f", {retries:,} {'retry' if retries == 1 else 'retries'}" if retries else ""
    call_site = max(failing.callers, key=lambda each: each.errors).call_site
    place = f" from {call_site}" if call_site else ""
    asked = f"{row.method} {quoted(failing.path, MAX_PATH)} call" if failing.path else "call"
    return Finding(
        kind=KIND,
        severity=graded(errors / calls, MEDIUM, HIGH, was),
        subject=quoted(host, MAX_SUBJECT),
        sentence=f"{percent(errors / calls)} of {plural(calls, asked)} failed{place}: {named}{again}",
        evidence={
            "host": host,
            "path": failing.path,
            "calls": calls,
            "errors": errors,
            "timeouts": timeouts if whole else None,
            "retries": retries if whole else None,
            "failures": dict(list(failures.items())[:10]),
            "routes": list(routes[:5]),
            "call_site": call_site,
        },
        advice=f"See whether {host} is well, and whether its routes here do without it: a fallback, a "
        "time-out below their own target, and retries that are few and spread out.",
        impact=FAILED_MS * errors / max(summary.window_s, 1.0),
        key=host,
        route=routes[0] if routes else None,
        routes=routes,
        upstream=row.key,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="outgoing calls fail: no answer, a time-out, a 5xx",
    subject="host",
    when=(
        At("of the calls that fail", SHARE, "share"),
        f"{MIN_ERRORS} failures and more, of the whole host or of one of its paths",
    ),
    medium=graded_by(MEDIUM, "share"),
    high=graded_by(HIGH, "share"),
    never="calls that their caller gave up, and time-outs at the client's own pool",
)
