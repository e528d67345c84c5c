"""`backlog-overflow`: connections wait to be accepted near the limit, or were refused at it.

The kernel keeps what the app has not accepted yet in a queue of a fixed length per listening socket. Who
comes when it is full is left out: a client tries again after a second, three, seven. The count of refusals
is the host's, of all its sockets: it is held against this one only if its queue was seen to be filling.
"""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.cost import FAILED_MS
from perftui.findings.criteria import At, Criteria
from perftui.findings.figures import ms, plural, span
from perftui.findings.rule import MAX_SUBJECT, Bar, Standing, quoted
from perftui.findings.workers import at_work
from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary
from perftui.model.waiting import fullness, most_waiting
from perftui.model.worker_summary import WorkerSummary
from perftui_agent.wire.process import Listener

KIND = "backlog-overflow"

NEAR = Bar(0.8, 0.6)
"""Of the limit, at the fullest moment."""

FILLING = 0.5
"""From here on refusals of the host are taken for refusals here; below, they may be anybody's."""

MIN_WAITING = 4
"""Fewer are one browser's connections, however short the queue."""

CAPS = (128, 4096)
"""What `net.core.somaxconn` is on older kernels and on newer ones: it caps what the app asks for."""


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each listening socket that connections had to wait at, or in vain."""
    sockets: dict[tuple[str, str], list[tuple[Listener, WorkerSummary]]] = {}
    for worker in at_work(summary):
        for listener in worker.backlogs:
            sockets.setdefault((worker.identity.host, listener.address), []).append((listener, worker))
    several = len({host for host, _ in sockets}) > 1
    for (host, address), found in sockets.items():
        key = f"{host} {address}"
        fullest = max((listener for listener, _ in found), key=fullness)
        # All workers of a host tell of the same refusals.
        refused = max((worker.listen_overflows or 0 for _, worker in found), default=0)
        refused = refused if fullness(fullest) >= FILLING else 0
        if most_waiting(fullest) < MIN_WAITING:
            continue
        if refused or NEAR.reached(fullness(fullest), key in standing):
            workers = [worker for _, worker in found]
            where = f"{address} on {host}" if several else address
            yield _finding(summary, fullest, refused, workers, where, key)


def _finding(
    summary: Summary,
    fullest: Listener,
    refused: int,
    workers: list[WorkerSummary],
    where: str,
    key: str,
) -> Finding:
    most, limit = most_waiting(fullest), fullest.limit or 0
    lag_ms = max((worker.loop_lag_p99_ms or 0.0 for worker in workers), default=0.0)
    said = [f"up to {most:,} of at most {limit:,} connections waited to be accepted"]
    if refused:
        said.append(f"the host refused {plural(refused, 'connection')}")
    severity: Severity = "high" if refused else "medium"
    return Finding(
        kind=KIND,
        severity=severity,
        subject=quoted(where, MAX_SUBJECT),
        sentence=f"{', '.join(said)} in {span(summary.window_s)}",
        evidence={
            "address": fullest.address,
            "most_waiting": most,
            "limit": limit,
            "share": round(fullness(fullest), 4),
            "refused_by_host": refused,
            "loop_lag_p99_ms": round(lag_ms, 3),
            "workers": [worker.pid for worker in workers],
        },
        advice=_advice(limit, lag_ms, len(workers)),
        impact=FAILED_MS * refused / max(summary.window_s, 1.0) + most,
        key=key,
        worker=workers[0].identity.id if len(workers) == 1 else None,
        workers=tuple(worker.identity.id for worker in workers),
    )


def _advice(limit: int, lag_ms: float, workers: int) -> str:
    first = (
        f"Begin with what holds the loop: it answers {ms(lag_ms)} late (p99), and accepts nothing meanwhile."
        if lag_ms >= 50.0
        else f"More comes in than {plural(workers, 'worker')} can accept: add workers."
    )
    capped = f" ({limit} looks like it)" if limit in CAPS else ""
    return f"{first} Only then make the queue longer: --backlog, capped by net.core.somaxconn{capped}."


CRITERIA = Criteria(
    kind=KIND,
    means="connections wait to be accepted near the limit, or were refused at it",
    subject="listening socket",
    when=(
        At("of the limit of the accept queue, at its fullest", NEAR, "share"),
        f"or connections that were refused while it was {FILLING:.0%} full and more",
        f"{MIN_WAITING} connections and more that waited",
    ),
)
