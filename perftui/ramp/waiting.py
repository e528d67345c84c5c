"""What requests may have waited for: locks, pools, threads, other services, the database itself.

Each takes the step that was not kept up with and by how much a request's parts grew, and gives a candidate or
none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perftui.model.happenings import Finding
from perftui.model.outside_summary import PoolSummary, UpstreamSummary
from perftui.model.summary import Summary
from perftui.ramp.limit import Limit, Locked
from perftui.ramp.resources import FULL, Kind, Parts
from perftui.ramp.room import Room

LOCKED_PART = 0.3
"""Of what statements take longer; if that was for locks they are what gave: only long waits are seen."""


def locks(grown: Parts, findings: Sequence[Finding], locked: Locked | None, room: Room) -> list[Limit]:
    """Who has a lock keeps the others out: as a finding tells it, the database, or the time it took."""
    found = next((each for each in findings if each.kind in {"db-lock", "idle-in-transaction"}), None)
    grew = grown.sql + grown.pool
    # Who has a lock passes one by one: at the knee each keeps the others out for all of the time there is.
    held_ms = 1000.0 / room.knee_rps if room.knee_rps else None
    held = f"hold it {held_ms:.0f} → {held_ms / 2:.0f} ms a request: " if held_ms else ""
    factor = 2.0 if held_ms else None
    if found is not None:
        return [
            Limit("lock", found.subject, found.sentence, f"{held}{found.advice}", factor=factor, grew_ms=grew,
                  used=1.0)
        ]  # fmt: skip
    if grew < 1.0:
        return []
    if locked is not None:
        on, who = locked.on, f"{locked.sessions} sessions of {locked.database} wait for {locked.on}"
        told = f"{who}, {grew:.0f} ms of a request more"
    elif grown.lock >= max(LOCKED_PART * grown.sql, 1.0):
        on = "a lock"
        told = f"statements wait {grown.lock:.0f} of the {grown.sql:.0f} ms that they take longer for locks"
    else:
        return []
    mend = (
        f"{held}commit sooner after what takes it, or spread it over more rows; perftui database shows who "
        "holds it"
    )
    return [Limit("lock", on, told, mend, factor=factor, grew_ms=grew, used=1.0)]


def pools(after: Summary, grown: Parts, room: Room) -> list[Limit]:
    """The connection pool whose connections are all out."""
    pool = max(after.pools, key=_waited, default=None)
    if pool is None or not (pool.max and _waited(pool)):
        return []
    share = min((pool.checked_out or 0) / pool.max, 1.0)
    share = max(share, 1.0 if pool.waiting or pool.timeouts else share)
    if grown.pool < 1.0 and share < FULL:
        return []
    each = max(pool.max // pool.processes, 1)
    size = max(round(each * room.factor("pool")), each + 1)
    timeouts = f", {pool.timeouts} time-outs" if pool.timeouts else ""
    return [
        Limit(
            "pool", pool.name,
            f"{pool.checked_out} of {pool.max} connections are out, p95 wait {pool.wait_p95_ms or 0:.0f} ms"
            f"{timeouts}",
            f"pool {each} → {size} a process, or hold connections for less long",
            factor=size / each, grew_ms=grown.pool, used=share, held_ms=_held_ms(pool, share, after.window_s),
        )
    ]  # fmt: skip


def _held_ms(pool: PoolSummary, share: float, over_s: float) -> float:
    """Return for how long a connection was held on average, by Little's law; 0 where nobody knows."""
    return 1000.0 * share * (pool.max or 0) * over_s / pool.checkouts if pool.checkouts else 0.0


def _waited(pool: PoolSummary) -> float:
    return (pool.wait_p95_ms or 0.0) + 1000.0 * pool.timeouts + (pool.longest_wait_ms or 0.0)


def client_pools(after: Summary, grown: Parts, room: Room) -> list[Limit]:
    """The connections that a client of another service allows itself."""
    row = max(after.upstreams, key=lambda each: each.pool_wait_ms, default=None)
    if row is None or grown.http_pool < max(0.3 * grown.http, 1.0):
        return []
    each = max(row.limit // row.processes, 1) if row.limit else None
    size = max(round(each * room.factor("client-pool")), each + 1) if each else None
    told = f"{each} → {size} a process" if each else "more"
    return [
        Limit(
            "client-pool", row.host,
            f"calls to {row.host} wait {row.pool_wait_p95_ms or 0:.0f} ms at p95 for one of the client's own "
            f"{row.limit or 'few'} connections",
            f"max_connections {told}", factor=size / each if size and each else None,
            grew_ms=grown.http_pool, used=1.0,
        )
    ]  # fmt: skip


def upstreams(after: Summary, grown: Parts, room: Room) -> list[Limit]:
    """The service that takes longer to answer, its client's own queue apart."""
    row = max(after.upstreams, key=_own_ms, default=None)
    grew = grown.http - grown.http_pool
    if row is None or grew < 1.0:
        return []
    requests = sum(each.requests for each in after.routes if not each.long_poll)
    serves = room.knee_rps * row.count / requests if requests else 0.0
    more = f"have it serve {serves:.0f} → {2 * serves:.0f}/s" if serves else "have it scaled"
    return [
        Limit(
            "upstream", row.host,
            f"{row.host} answers in {row.answer_p95_ms or row.latency.p95_ms or 0:.0f} ms at p95, "
            f"{grew:.0f} ms of a request more than at low rates",
            f"It serves no more: {more}, cache its answers, or ask it less often",
            factor=2.0 if serves else None, grew_ms=grew, used=1.0,
        )
    ]  # fmt: skip


def _own_ms(row: UpstreamSummary) -> float:
    return row.total_ms - row.pool_wait_ms


def threadpool(after: Summary, grown: Parts, used: Mapping[Kind, float], room: Room) -> list[Limit]:
    """The threads that sync endpoints run in."""
    share = used.get("threadpool", 0.0)
    row = max(
        (each for each in after.workers if each.threadpool and each.threadpool.total),
        key=lambda each: each.threadpool.waiting if each.threadpool else 0,
        default=None,
    )
    if row is None or row.threadpool is None or (grown.threadpool < 1.0 and not row.threadpool.waiting):
        return []
    pool = row.threadpool
    tokens = max(round(pool.total * room.factor("threadpool")), pool.total + 1)
    return [
        Limit(
            "threadpool", f"worker {row.pid}",
            f"{pool.used} of {pool.total} threads are taken and {pool.waiting} requests wait for one",
            f"threads {pool.total} → {tokens} (anyio's total_tokens), or async endpoints where they wait",
            factor=tokens / pool.total, grew_ms=grown.threadpool,
            used=max(share, 1.0 if pool.waiting else 0.0),
        )
    ]  # fmt: skip


def database(after: Summary, grown: Parts) -> list[Limit]:
    """Statements that take longer, for whatever reason."""
    row = max(after.asked, key=lambda each: each.total_ms, default=None)
    if row is None or grown.sql < 1.0:
        return []
    return [
        Limit(
            "database", row.statement[:80],
            f"statements take {grown.sql:.0f} ms of a request more than at low rates, most of it "
            f"{row.statement[:60]} (p95 {row.latency.p95_ms or 0:.0f} ms)",
            "Explain it: perftui explain; then fewer or cheaper statements, or a larger database",
            grew_ms=grown.sql, used=FULL,
        )
    ]  # fmt: skip
