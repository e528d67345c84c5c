"""What a worker may have run out of: processors, a quota, its loop, memory, the accept queue, its fair share.

Each takes the step that was not kept up with and by how much a request's parts grew, and gives a candidate or
none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.ramp.limit import Limit
from perftui.ramp.resources import FULL, MOST_FACTOR, Kind, Parts, parts_of

THROTTLED = 0.25
"""Periods of a quota that ended with the worker stopped: fewer are felt by nobody."""

FOUGHT_OVER = 0.55
"""Of a core, where threads fight over the GIL: who gets it is woken first, and nobody computes meanwhile."""

ALL_CORES, THEIRS = 0.95, 0.75
"""How busy a machine is whose cores are all taken, and what part of them is its workers' then."""

WITHOUT = 0.25
"""Of the time: a thread that was kept from a processor for so long is not slow by itself."""

FULL_CORE = 0.7
"""Of a core: a worker that takes less does not compute all the time; nor did it want to, if what it waited
for one is counted as well."""


LATE = 0.8
"""How full a loop counts as that was late at times and that nobody was seen to hold, and processors that
others have, where nobody knows whether a worker wanted one: short of used up, for what requests waited for
them is explained by it, and no pool that is empty all the time."""


def accept_queue(after: Summary, used: Mapping[Kind, float]) -> list[Limit]:
    """The queue of connections that no worker has accepted yet."""
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


def memory(after: Summary, used: Mapping[Kind, float]) -> list[Limit]:
    """The worker that has next to no memory left."""
    share = used.get("memory", 0.0)
    if share < 0.97:
        return []
    row = min(after.workers, key=lambda each: each.memory_left_bytes or 1 << 60)
    left = (row.memory_left_bytes or 0) / 1e6
    return [
        Limit("memory", f"worker {row.pid}", f"{left:.0f} MB are left in the {row.memory_left_in}",
              "Fewer workers, or more memory: perftui memory tells what grows", grew_ms=1e6, used=share)
    ]  # fmt: skip


def quota(after: Summary, grown: Parts) -> list[Limit]:
    """The quota of CPU that stops a worker."""
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


def processor(after: Summary, grown: Parts, used: Mapping[Kind, float]) -> list[Limit]:
    """The loop, the GIL or all processors: who computes, and where."""
    workers = [row for row in after.workers if row.state != "gone" and row.cpu_mean_percent is not None]
    row = max(workers, key=_core, default=None)
    if row is None:
        return []
    return [*_all_cores(workers, row, grown, used.get("cpu", 0.0)), *_one_core(workers, row, grown)]


def _core(row: WorkerSummary) -> float:
    """Return how much of a core a worker takes."""
    return (row.cpu_mean_percent or 0.0) / 100


def _wanted(row: WorkerSummary) -> float:
    """Return for which part of the time a worker had a core, or was ready to run and had none."""
    return min(_core(row) + _waited(row), 1.0)


def _cores(workers: Sequence[WorkerSummary]) -> int | None:
    return next((each.contention.host.cores for each in workers if each.contention.host), None)


def _where(row: WorkerSummary) -> str:
    """Return the place in code that has most of a worker's GIL; empty if nobody knows."""
    held = row.gil.by if row.gil else ()
    busiest = max(held, key=lambda holder: (bool(holder.where), holder.share), default=None)
    return busiest.where if busiest is not None else ""


def _all_cores(
    workers: Sequence[WorkerSummary], row: WorkerSummary, grown: Parts, busy: float
) -> list[Limit]:
    cores, whole = _cores(workers), sum(map(_core, workers))
    is_theirs = cores is not None and whole > THEIRS * cores
    # Others may have all cores: a worker that hardly waits for one lacks none, and something else gave.
    is_kept = _core(row) < FULL_CORE and (not _is_told(workers) or max(map(_wanted, workers)) >= FULL_CORE)
    if cores is None or busy < ALL_CORES or not (is_theirs or is_kept):
        return []
    most = f", most of it in {_where(row)}" if _where(row) else ""
    who = (
        f"{len(workers)} workers take most of it{most}"
        if is_theirs
        else f"the workers take {whole * 100:.0f} of {100 * cores} %, others the rest"
    )
    told, mend = f"all {cores} cores are busy, {who}", "Less work for each request, or more cores"
    grew = grown.queued + grown.loop + grown.rest
    # Whether a worker waited for one a short step may not tell: then it is one candidate among others.
    used = busy if is_theirs or _is_told(workers) else min(busy, LATE)
    return [Limit("cpu", f"{cores} cores", told, mend, grew_ms=grew, used=used)]


def _one_core(workers: Sequence[WorkerSummary], row: WorkerSummary, grown: Parts) -> list[Limit]:
    held = row.gil.by if row.gil else ()
    of_loop = sum(holder.share for holder in held if _is_loop(holder.thread))
    of_threads = sum(holder.share for holder in held if holder.thread and not _is_loop(holder.thread))
    # A short step may have had no look that found somebody: then who has jobs in threads computes there.
    in_threads = not held and row.threadpool is not None and row.threadpool.used > 1
    kind: Kind = "gil" if of_threads > of_loop or in_threads else "loop"
    share, where = _core(row), _where(row)
    if share < (FOUGHT_OVER if kind == "gil" else FULL_CORE):
        return []
    whose = "threads hold the GIL" if kind == "gil" else "its event loop computes"
    most = f", most of it in {where}" if where else ""
    number, cores = len(workers), _cores(workers)
    more = max(number + 1, min(number * 2, cores or number * 2))
    grew = grown.queued + grown.loop + grown.rest + grown.threadpool * (kind == "gil")
    return [
        Limit(
            kind, where or f"worker {row.pid}",
            f"worker {row.pid} uses {share * 100:.0f} % of a core: {whose}{most}",
            f"workers {number} → {more}, or take that work into a process pool",
            factor=more / number, grew_ms=grew, used=min(max(share, FULL), 1.0),
        )
    ]  # fmt: skip


def _is_loop(thread: str) -> bool:
    return thread in {"MainThread", "loop"}


def without_processor(after: Summary, grown: Parts) -> list[Limit]:
    """A worker that has much to do and gets no processor: others have them, whoever they are."""
    rows = [row for row in after.workers if row.state != "gone" and row.contention.waited_share is not None]
    row = max(rows, key=_wanted, default=None)
    if row is None or _waited(row) < WITHOUT:
        return []
    # Who sleeps most of the time is late for want of a processor, and holds what it has a little longer: that
    # alone fills no pool and takes no thread, as a core that is wanted all the time does.
    return [
        Limit(
            "cpu", f"worker {row.pid}",
            f"worker {row.pid} was ready to run and did not get to for {_waited(row) * 100:.0f} % of the "
            "time: others have the processors",
            "Move what else runs here elsewhere, or lower its share (nice, cpu.weight); then more cores",
            grew_ms=grown.queued + grown.loop + grown.rest, used=min(_wanted(row) / FULL_CORE, 1.0),
        )
    ]  # fmt: skip


def _is_told(rows: Sequence[WorkerSummary]) -> bool:
    """Tell whether the system says of any of them how long it has waited for a processor."""
    return any(row.contention.waited_share is not None for row in rows)


def _waited(row: WorkerSummary) -> float:
    return row.contention.waited_share or 0.0


def blocked(after: Summary, grown: Parts, findings: Sequence[Finding]) -> list[Limit]:
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
              factor=MOST_FACTOR, grew_ms=grew, used=FULL if found else LATE)
    ]  # fmt: skip


def imbalance(after: Summary) -> list[Limit]:
    """One worker that serves more than its part."""
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
