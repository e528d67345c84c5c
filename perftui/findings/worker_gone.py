"""`worker-lost` and `worker-restarted`: a worker's process vanished, and was or wasn't replaced.

Two kinds of one event: the first becomes the second when a new process takes the place.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.cost import FAILED_MS
from perftui.findings.criteria import Criteria, written
from perftui.findings.figures import ms, percent, plural, size, span
from perftui.findings.rule import Standing, quoted
from perftui.findings.workers import name_of
from perftui.model.evidence import SILENT, advice_on, how_it_ended, serving, what_it_was
from perftui.model.happenings import Event, Finding, Severity
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui_agent.wire.endings import ENDED, OUT_OF_MEMORY
from perftui_agent.wire.incidents import Evidence, Incident

LOST = "worker-lost"
RESTARTED = "worker-restarted"

NEAR_LIMIT = 0.9
"""From this share of its memory limit on, the kernel may well have ended it."""

REMEMBERED_S = 300.0
"""For so long a worker that ended in silence before the watch is told of: whoever is paged comes later."""

MAX_STACK = 10

LONG_BLOCK_NS = 1_000_000_000
"""A shorter block makes nobody end a worker."""


def check_lost(summary: Summary, standing: Standing) -> Iterator[Finding]:  # noqa: ARG001 - every rule takes both
    """Yield each worker that went within the window and has no successor."""
    replaced = _replaced(summary)
    for worker in _gone(summary):
        if str(worker.pid) not in replaced:
            yield _finding(summary, worker, LOST, "high", "is gone, and nothing has taken its place")
    yield from _of_before(summary, replaced=False)


def check_restarted(summary: Summary, standing: Standing) -> Iterator[Finding]:  # noqa: ARG001 - as above
    """Yield each worker that was replaced within the window."""
    replaced = _replaced(summary)
    for worker in _gone(summary):
        event = replaced.get(str(worker.pid))
        if event is not None:
            # Workers are recycled and deployed anew as a matter of course, but then they finish first.
            violently = (
                worker.lost_in_flight
                or _near_limit(worker)
                or worker.silence is not None
                or _last_block(summary, worker)
            )
            yield _finding(summary, worker, RESTARTED, "medium" if violently else "low", "was replaced")
    yield from _of_before(summary, replaced=True)


def _gone(summary: Summary) -> Iterator[WorkerSummary]:
    for worker in summary.workers:
        since = worker.gone_since
        if worker.state == "gone" and since is not None and since >= summary.at - max(summary.window_s, 1.0):
            yield worker


def _replaced(summary: Summary) -> dict[str, Event]:
    return {event.subject: event for event in summary.events if event.kind == RESTARTED}


def _finding(summary: Summary, worker: WorkerSummary, kind: str, severity: Severity, what: str) -> Finding:
    since = worker.gone_since or summary.at
    silence = worker.silence
    ended = _ended(summary, worker)
    block = None if silence is not None else _last_block(summary, worker)
    return Finding(
        kind=kind,
        severity=severity,
        subject=name_of(worker, summary),
        sentence=_sentence(
            what,
            silence,
            ended,
            f"{span(max(0.0, summary.at - since))} ago after {span(worker.uptime_s or 0.0)}",
        )
        + _last_words(worker, block),
        evidence={
            "pid": worker.pid,
            "gone_since": since,
            "uptime_s": worker.uptime_s,
            "last_rss_bytes": worker.rss_bytes,
            "memory_limit_bytes": worker.memory_limit_bytes,
            "last_cpu_percent": worker.cpu_percent,
            "lost_in_flight": worker.lost_in_flight,
            "last_block": None if block is None else {"where": block.where, "ms": round(block.ns / 1e6, 3)},
            "silence": _told(silence),
            "ended": None
            if ended is None
            else {
                "verdict": ended.verdict,
                "sentence": ended.text,
                "in_flight": [{"route": row.route, "path": row.path} for row in ended.in_flight[:MAX_STACK]],
            },
            "events": [event.sentence for event in summary.events if event.subject == str(worker.pid)][-3:],
        },
        advice=_advice(worker, block, ended) if silence is None else advice_on(silence),
        impact=FAILED_MS * (worker.lost_in_flight or 0) / max(summary.window_s, 1.0),
        key=worker.identity.id,
        since=since,
        route=silence.route if silence is not None else None,
        worker=worker.identity.id,
    )


def _ended(summary: Summary, worker: WorkerSummary) -> Evidence | None:
    """Return how it ended, if somebody has seen that."""
    rows = [
        each for each in summary.evidence if each.worker == worker.identity.id and each.evidence.kind == ENDED
    ]
    return rows[-1].evidence if rows else None


def _sentence(fate: str, silence: Evidence | None, ended: Evidence | None, ago: str) -> str:
    """Return what happened; of one that was silent the line first, which is what to look at."""
    if silence is None and ended is not None:
        return f"{ended.text}{serving(ended)}; {fate}, {ago}"
    if silence is None:
        return f"{fate}, {ago}"
    return f"{what_it_was(silence)}; {how_it_ended(silence)}, {ago}, and {fate}"


def _told(silence: Evidence | None) -> dict[str, object] | None:
    """Return what a sibling has seen, as evidence."""
    if silence is None:
        return None
    return {
        "verdict": silence.verdict,
        "where": silence.where,
        "route": silence.route,
        "ms": round(silence.ns / 1e6, 3),
        "ended_by": silence.ended_by or None,
        "how": silence.how,
        "stack": list(silence.stack[:MAX_STACK]),
    }


def _of_before(summary: Summary, *, replaced: bool) -> Iterator[Finding]:
    """Yield the workers that had ended in silence before anybody watched: a sibling has told of them."""
    known = {worker.identity.id for worker in summary.workers}
    for row in summary.evidence:
        each = row.evidence
        ago_s = summary.at - row.until
        if each.kind != SILENT or each.outcome != "ended" or row.worker in known or ago_s > REMEMBERED_S:
            continue
        if any(worker.identity.started_at > row.until - 1.0 for worker in summary.workers) != replaced:
            continue
        fate = "was replaced" if replaced else "is gone, and nothing has taken its place"
        yield Finding(
            kind=RESTARTED if replaced else LOST,
            severity="medium" if ago_s <= max(summary.window_s, 60.0) else "low",
            subject=f"worker {row.pid}",
            sentence=_sentence(fate, each, None, f"{span(max(0.0, ago_s))} ago"),
            evidence={"pid": row.pid, "gone_since": row.until, "silence": _told(each)},
            advice=advice_on(each),
            key=row.worker,
            since=row.until,
            route=each.route,
            worker=row.worker,
        )


def _last_block(summary: Summary, worker: WorkerSummary) -> Incident | None:
    """Return what held its loop last, if that was in its last ten seconds and long enough to matter."""
    since_ns = ((worker.gone_since or summary.at) - 10.0) * 1e9
    blocks = [
        row.incident
        for row in summary.incidents
        if row.worker == worker.identity.id and row.incident.ns >= LONG_BLOCK_NS
    ]
    return next((block for block in reversed(blocks) if block.at + block.ns >= since_ns), None)


def _near_limit(worker: WorkerSummary) -> bool:
    limit, rss = worker.memory_limit_bytes, worker.rss_bytes
    return bool(limit and rss and rss >= NEAR_LIMIT * limit)


def _last_words(worker: WorkerSummary, block: Incident | None) -> str:
    words = []
    if worker.rss_bytes is not None:
        limit = worker.memory_limit_bytes
        words.append(size(worker.rss_bytes) + (f" of {size(limit)}" if limit else ""))
    if worker.cpu_percent is not None:
        words.append(f"CPU {percent(worker.cpu_percent / 100)}")
    if worker.lost_in_flight:
        words.append(f"{plural(worker.lost_in_flight, 'request')} in flight")
    if block is not None:
        words.append(f"loop held {ms(block.ns / 1e6)} by {quoted(block.where)}")
    return f"; last seen: {', '.join(words)}" if words else ""


def _advice(worker: WorkerSummary, block: Incident | None, ended: Evidence | None) -> str:
    if ended is not None and ended.verdict == OUT_OF_MEMORY:
        return "Give it more memory, or find what grows: perftui memory, before it is full again."
    if ended is not None and ended.text.startswith("crashed"):
        return "C code has crashed: python -X faulthandler tells where, and dmesg in which library."
    if _near_limit(worker):
        return "It was close to its memory limit: look for an OOM kill in the kernel's log (dmesg)."
    if block is not None:
        return "Its loop was held at the end: a supervisor or health check may have ended it."
    return "Its log, the supervisor's and the kernel's (dmesg) say what ended it; its last seconds are kept."


CRITERIA = (
    Criteria(
        kind=LOST,
        means="a worker vanished, and nothing has taken its place",
        subject="worker",
        when=(
            (
                "a process that is gone within the window, or had fallen silent and was ended "
                f"{written(REMEMBERED_S, 's')} before at most"
            ),
        ),
        high="always",
    ),
    Criteria(
        kind=RESTARTED,
        means="a worker was replaced",
        subject="worker",
        when=("a process that is gone within the window, and one that has taken its place",),
        medium="if it had requests in flight, hardly any memory left, had fallen silent or held its loop",
        high="never: a deploy replaces workers as well",
    ),
)
