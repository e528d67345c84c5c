"""`slow-messages`: a WebSocket endpoint takes long for a message.

Judged by the handler's own time: to the reply, or to asking for the next message where there was no reply or
the next had to wait. A handler that waits for others' news, a loop that others hold, and a client that does
not read what it is sent are no slowness of the endpoint's.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by
from perftui.findings.figures import ms, percent, plural
from perftui.findings.rule import Bar, Standing, graded
from perftui.model.after import ChannelSummary
from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary

KIND = "slow-messages"

MIN_MESSAGES = 5
"""Each takes long: a few tell it, and more hardly come over one connection in ten seconds."""

P95_MS = Bar(150.0, 110.0)
"""Of one message. What comes sooner feels at once to whoever has sent it."""

MEDIUM_MS = Bar(400.0, 300.0)
HIGH_MS = Bar(2_000.0, 1_500.0)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each WebSocket endpoint that takes long for its messages."""
    for row in summary.channels:
        if row.kind != "websocket" or row.handled < MIN_MESSAGES:
            continue
        if P95_MS.reached(row.handling_p95_ms, row.route in standing):
            yield _finding(summary, row, standing.get(row.route))


def _finding(summary: Summary, row: ChannelSummary, was: Severity | None) -> Finding:
    p95_ms = row.handling_p95_ms or 0.0
    asked = _asked(row)
    waited = (
        f"; after {percent(row.queued / row.handled)} of them the next had been waiting" if row.queued else ""
    )
    return Finding(
        kind=KIND,
        severity=graded(p95_ms, MEDIUM_MS, HIGH_MS, was),
        subject=row.route,
        sentence=f"p95 {ms(p95_ms)} for a message, of {plural(row.handled, 'message')}{asked}{waited}",
        evidence={
            "handled": row.handled,
            "handling_p50_ms": _rounded(row.handling_p50_ms),
            "handling_p95_ms": _rounded(row.handling_p95_ms),
            "handling_max_ms": _rounded(row.handling_max_ms),
            "received_per_s": _rounded(row.received_per_s),
            "open": row.open,
            "queued": row.queued,
            "replies": row.replies,
            "held_ms": round(row.held_ms, 3),
            "news_ms": round(row.news_ms, 3),
            "blocked_ms": round(row.blocked_ms, 3),
            "sql_per_message": round(row.sql / row.handled, 3),
            "sql_ms_per_message": round(row.sql_ms / row.handled, 3),
            "calls_ms_per_message": round(row.calls_ms / row.handled, 3),
        },
        advice="While one message is at work the next of that client waits. Answer first and leave the work "
        "to a task or a queue, or look where it goes: a profile of the worker names the line.",
        impact=row.handling_ms / max(summary.window_s, 1.0),
        channel=row.key,
    )


def _asked(row: ChannelSummary) -> str:
    """Return what most of that time goes to, if it is a database or another service."""
    spent = {"SQL": row.sql_ms, "HTTP calls": row.calls_ms, "cache look-ups": row.cache_ms}
    for name, spent_ms in spent.items():
        if row.handling_ms and spent_ms >= 0.5 * row.handling_ms:
            return f", {percent(min(spent_ms / row.handling_ms, 1.0))} of it {name}"
    return ""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


CRITERIA = Criteria(
    kind=KIND,
    means="a WebSocket endpoint takes long for a message",
    subject="route",
    when=(
        At("p95 of a message, by the handler's own time", P95_MS, "ms"),
        f"{MIN_MESSAGES} messages and more",
    ),
    medium=graded_by(MEDIUM_MS, "ms"),
    high=graded_by(HIGH_MS, "ms"),
    never="waiting for others' news, for the next message, or for a client that does not read",
)
