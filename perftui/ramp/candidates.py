"""What may have given, each from its own figures: the sentence, the mend, and the time that grew with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perftui.model.happenings import Finding
from perftui.model.outside_summary import PoolSummary, UpstreamSummary
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.ramp.resources import FULL, MOST_FACTOR, Kind, Parts, parts_of
from perftui.ramp.room import Room
from perftui.record import Record

THROTTLED = 0.25
"""Periods of a quota that ended with the worker stopped: fewer are felt by nobody."""

FULL_CORE = 0.7
"""Of a core: a worker that takes less does not compute all the time."""


class Limit(Record, frozen=True):
    """One candidate, and what to do about it."""

    kind: Kind
    subject: str = ""
    sentence: str = ""
    advice: str = ""
    then_rps: float | None = None
    """What the mend should give, an estimate; None where nothing tells."""
    factor: float | None = None
    """How many times as much this very limit lets through once it is mended; None where nothing tells."""
    next_kind: Kind | None = None
    """What is full next, once it is mended, …"""
    next_rps: float | None = None
    """… and the rate at which that is."""
    grew_ms: float = 0.0
    """How much longer an average request took because of it, at the rate that was not kept up."""
    used: float = 0.0
    """How full it was, 0…1."""


class Locked(Record, frozen=True):
    """Who waited for a lock in a database, as it said itself."""

    sessions: int
    on: str
    """`a row of items`."""
    database: str


NOTHING = Limit("none", sentence="nothing gave up to the highest rate")


def candidates(
    after: Summary,
    grown: Parts,
    used: Mapping[Kind, float],
    findings: Sequence[Finding],
    locked: Locked | None,
    room: Room,
) -> list[Limit]:
    """Return what may have given: `grown` by how much each part of a request did, `used` how full all was."""
    return [
        *_accept_queue(after, used),
        *_memory(after, used),
        *_quota(after, grown),
        *_locks(grown, findings, locked, room),
        *_pools(after, grown, room),
        *_client_pools(after, grown, room),
        *_upstreams(after, grown, room),
        *_threadpool(after, grown, used, room),
        *_processor(after, grown, used),
        *_blocked(after, grown, findings),
        *_database(after, grown),
        *_imbalance(after),
    ]


def _accept_queue(after: Summary, used: Mapping[Kind, float]) -> list[Limit]:
    fullest = max(
        (each for row in after.workers for each in row.backlogs if each.limit),
        key=lambda each: (each.most or each.waiting or 0) / (each.limit or 1),
        default=None,
    )
    refused = max((row.listen_overflows or 0 for row in after.workers), default=0)
    share = used.get("accept-queue", 0.0)
    if fullest is None or (share < FULL and not refused) or not (refused or share >= 1.0):
        return []
    limit = fullest.limit or 0
    told = f"{refused} connections were refused" if refused else f"up to {fullest.most} connections waited"
    return [
        Limit(
            "accept-queue", fullest.address, f"{told} at {fullest.address}, whose queue takes {limit}",
            f"--backlog {limit} → {max(limit * 16, 2048)}, or workers that accept sooner",
            factor=MOST_FACTOR, grew_ms=parts_of(after).queued if refused else 0.0,
            used=max(share, 1.0 if refused else 0.0),
        )
    ]  # fmt: skip


def _memory(after: Summary, used: Mapping[Kind, float]) -> list[Limit]:
    share = used.get("memory", 0.0)
    if share < 0.97:
        return []
    row = min(after.workers, key=lambda each: each.memory_left_bytes or 1 << 60)
    left = (row.memory_left_bytes or 0) / 1e6
    return [
        Limit("memory", f"worker {row.pid}", f"{left:.0f} MB are left in the {row.memory_left_in}",
              "Fewer workers, or more memory: perftui memory tells what grows", grew_ms=1e6, used=share)
    ]  # fmt: skip


def _quota(after: Summary, grown: Parts) -> list[Limit]:
    quotas = [(row.contention.quota, row.pid) for row in after.workers if row.contention.quota is not None]
    quota, pid = max(quotas, key=lambda each: each[0].throttled_share, default=(None, 0))
    if quota is None or quota.throttled_share < THROTTLED:
        return []
    grew = grown.queued + grown.loop + grown.rest + grown.threadpool
    return [
        Limit(
            "quota", f"{quota.cores:g} cores",
            f"a quota of {quota.cores:g} cores stopped worker {pid} in {quota.throttled} of "
            f"{quota.periods} periods",
            f"quota {quota.cores:g} → {quota.cores * 2:g} cores (cpu.max, limits.cpu), or less work for each "
            "request",
            factor=2.0, grew_ms=grew, used=max(quota.throttled_share, FULL),
        )
    ]  # fmt: skip


def _locks(grown: Parts, findings: Sequence[Finding], locked: Locked | None, room: Room) -> list[Limit]:
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
    if locked is None or grew < 1.0:
        return []
    who = f"{locked.sessions} sessions of {locked.database}"
    told = f"{who} wait for {locked.on}, {grew:.0f} ms of a request more"
    mend = (
        f"{held}commit sooner after what takes it, or spread it over more rows; perftui database shows who "
        "holds it"
    )
    return [Limit("lock", locked.on, told, mend, factor=factor, grew_ms=grew, used=1.0)]


def _pools(after: Summary, grown: Parts, room: Room) -> list[Limit]:
    pool = max(after.pools, key=_waited, default=None)
    if pool is None or not (pool.max and _waited(pool)):
        return []
    share = min((pool.checked_out or 0) / pool.max, 1.0)
    share = max(share, 1.0 if pool.waiting or pool.timeouts else share)
    if grown.pool < 1.0 and share < FULL:
        return []
    size = max(round(pool.max * room.factor("pool")), pool.max + 1)
    timeouts = f", {pool.timeouts} time-outs" if pool.timeouts else ""
    return [
        Limit(
            "pool", pool.name,
            f"{pool.checked_out} of {pool.max} connections are out, p95 wait {pool.wait_p95_ms or 0:.0f} ms"
            f"{timeouts}",
            f"pool {pool.max} → {size} a process, or hold connections for less long",
            factor=size / pool.max, grew_ms=grown.pool, used=share,
        )
    ]  # fmt: skip


def _waited(pool: PoolSummary) -> float:
    return (pool.wait_p95_ms or 0.0) + 1000.0 * pool.timeouts + (pool.longest_wait_ms or 0.0)


def _client_pools(after: Summary, grown: Parts, room: Room) -> list[Limit]:
    row = max(after.upstreams, key=lambda each: each.pool_wait_ms, default=None)
    if row is None or grown.http_pool < max(0.3 * grown.http, 1.0):
        return []
    limit = row.limit
    size = max(round(limit * room.factor("client-pool")), limit + 1) if limit else None
    told = f"{limit} → {size}" if limit else "more"
    return [
        Limit(
            "client-pool", row.host,
            f"calls to {row.host} wait {row.pool_wait_p95_ms or 0:.0f} ms at p95 for one of the client's own "
            f"{limit or 'few'} connections",
            f"max_connections {told}", factor=size / limit if size and limit else None,
            grew_ms=grown.http_pool, used=1.0,
        )
    ]  # fmt: skip


def _upstreams(after: Summary, grown: Parts, room: Room) -> list[Limit]:
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
            f"{grew:.0f} ms of a request more than at the lower rate",
            f"It serves no more: {more}, cache its answers, or ask it less often",
            factor=2.0 if serves else None, grew_ms=grew, used=1.0,
        )
    ]  # fmt: skip


def _own_ms(row: UpstreamSummary) -> float:
    return row.total_ms - row.pool_wait_ms


def _threadpool(after: Summary, grown: Parts, used: Mapping[Kind, float], room: Room) -> list[Limit]:
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


def _processor(after: Summary, grown: Parts, used: Mapping[Kind, float]) -> list[Limit]:
    """The loop, the GIL or all processors: who computes, and where."""
    workers = [row for row in after.workers if row.state != "gone" and row.cpu_mean_percent is not None]
    row = max(workers, key=lambda each: each.cpu_mean_percent or 0.0, default=None)
    if row is None:
        return []
    share = (row.cpu_mean_percent or 0.0) / 100
    grew = grown.queued + grown.loop + grown.rest
    if share < FULL_CORE and used.get("cpu", 0.0) < 0.95:
        return []
    held = row.gil.by if row.gil else ()
    of_loop = sum(holder.share for holder in held if _is_loop(holder.thread))
    of_threads = sum(holder.share for holder in held if holder.thread and not _is_loop(holder.thread))
    busiest = max(held, key=lambda holder: (bool(holder.where), holder.share), default=None)
    where = f", most of it in {busiest.where}" if busiest and busiest.where else ""
    number = len(workers)
    cores = next((each.contention.host.cores for each in workers if each.contention.host), None)
    found = []
    whole = sum(each.cpu_mean_percent or 0.0 for each in workers)
    if cores and used.get("cpu", 0.0) >= 0.95 and (whole > 75 * cores or share < FULL_CORE):
        who = f"{number} workers take most of it{where}" if whole > 75 * cores else (
            f"the workers take {whole:.0f} of {100 * cores} %, others the rest"
        )  # fmt: skip
        mend = "Less work for each request, or more cores"
        told = f"all {cores} cores are busy, {who}"
        found.append(Limit("cpu", f"{cores} cores", told, mend, grew_ms=grew, used=used["cpu"]))
    if share < FULL_CORE:
        return found
    kind: Kind = "gil" if of_threads > of_loop else "loop"
    whose = "threads hold the GIL" if kind == "gil" else "its event loop computes"
    more = max(number + 1, min(number * 2, cores or number * 2))
    found.append(
        Limit(
            kind, (busiest.where if busiest and busiest.where else f"worker {row.pid}"),
            f"worker {row.pid} uses {share * 100:.0f} % of a core: {whose}{where}",
            f"workers {number} → {more}, or take that work into a process pool",
            factor=more / number, grew_ms=grew + grown.threadpool * (kind == "gil"),
            used=min(max(share, FULL), 1.0),
        )
    )  # fmt: skip
    return found


def _is_loop(thread: str) -> bool:
    return thread in {"MainThread", "loop"}


def _blocked(after: Summary, grown: Parts, findings: Sequence[Finding]) -> list[Limit]:
    """A loop that is held by something that does not compute: `time.sleep`, a blocking driver."""
    found = next((each for each in findings if each.kind == "loop-blocked"), None)
    lag = max((row.loop_lag_p99_ms or 0.0 for row in after.workers), default=0.0)
    grew = grown.queued + grown.loop
    if grew < 1.0 or (found is None and lag < 20.0):
        return []
    where = found.subject if found else "the event loop"
    said = found.sentence if found else f"the loop is up to {lag:.0f} ms late, and requests wait for it"
    return [
        Limit("loop", where, f"{where}: {said}" if found else said,
              "Take it off the loop: an async call instead of a blocking one, or run_in_threadpool",
              factor=MOST_FACTOR, grew_ms=grew, used=FULL)
    ]  # fmt: skip


def _database(after: Summary, grown: Parts) -> list[Limit]:
    row = max(after.asked, key=lambda each: each.total_ms, default=None)
    if row is None or grown.sql < 1.0:
        return []
    return [
        Limit(
            "database", row.statement[:80],
            f"statements take {grown.sql:.0f} ms of a request more than at the lower rate, most of it "
            f"{row.statement[:60]} (p95 {row.latency.p95_ms or 0:.0f} ms)",
            "Explain it: perftui explain; then fewer or cheaper statements, or a larger database",
            grew_ms=grown.sql, used=FULL,
        )
    ]  # fmt: skip


def _imbalance(after: Summary) -> list[Limit]:
    rows = [row for row in after.workers if row.state != "gone" and row.rps]
    if len(rows) < 2:
        return []
    busiest = max(rows, key=_rps)
    others = [_rps(row) for row in rows if row is not busiest]
    mean = sum(others) / len(others)
    if _rps(busiest) < 2 * mean or (busiest.cpu_mean_percent or 0) < 70:
        return []
    return [
        Limit("imbalance", f"worker {busiest.pid}",
              f"worker {busiest.pid} serves {_rps(busiest):.0f}/s, each of the others {mean:.0f}/s",
              "Connections stick to one worker: more connections, or a proxy that spreads requests",
              grew_ms=1.0, used=(busiest.cpu_mean_percent or 0) / 100)
    ]  # fmt: skip


def _rps(row: WorkerSummary) -> float:
    return row.rps or 0.0
