"""The workers as a table, and how each one stands in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.model.evidence import what_it_was
from perftui.model.worker_summary import WorkerSummary
from perftui.present.charts.drawing import Axis, spark
from perftui.present.picture import Picture
from perftui.present.tables.grid import Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.tables.routes import trend_axis
from perftui.present.text.cells import Cell, Style
from perftui.present.text.quantile import marked_cell, quantile_cell
from perftui.present.text.signs import LAG_MS, worker_sign, worker_style
from perftui.present.text.units import NO_DATA, age, ms, percent, rate, short_count, size

WORKER_COLUMNS = (
    Column("pid", "", 13, "left"),
    Column("state", "state", 9, "left"),
    Column("cpu", "cpu", 6),
    Column("memory", "memory", 8),
    Column("lag", "lag p99", 9),
    Column("threads", "threads", 9, at_least=66),
    Column("open", "open", 6),
    Column("rps", "rps", 7),
    Column("err", "err", 7, at_least=100),
    Column("p95", "p95", 8),
    Column("up", "up", 9, at_least=108),
    Column("trend", "p95 trend", 18, at_least=136),
    Column("where", "where", 0, "left", at_least=90),
)

FULL_COLUMNS = (
    Column("pid", "", 13, "left"),
    Column("state", "state", 9, "left"),
    Column("cpu", "cpu", 6),
    Column("memory", "memory", 8),
    Column("lag", "lag p99", 9),
    Column("gc", "gc p99", 8, at_least=92),
    Column("gil", "gil", 6, at_least=136),
    Column("stopped", "stopped", 8, at_least=144),
    Column("threads", "threads", 9),
    Column("open", "open", 6),
    Column("n", "n", 7, at_least=128),
    Column("rps", "rps", 7, at_least=112),
    Column("share", "share", 7),
    Column("err", "err", 7, at_least=112),
    Column("p95", "p95", 8),
    Column("queued", "queued", 8, at_least=136),
    Column("agent", "agent", 8, at_least=120),
    Column("up", "up", 9, at_least=120),
    Column("trend", "p95 trend", 30, at_least=150),
    Column("where", "where", 0, "left", at_least=150),
)
"""Those of the view that has the screen to itself; `share` is of all requests."""

STOPPED = 0.05
"""Of the time: from here on a quota is told in colour."""

WORKER_SORTS = ("state", "cpu", "memory", "lag", "open", "rps", "p95", "pid")

_STATE_RANK = {"blocked": 0, "silent": 1, "ok": 2, "gone": 3}

_VALUES: dict[str, Callable[[WorkerSummary], SortValue]] = {
    "state": lambda worker: float(_STATE_RANK[worker.state]),
    "cpu": lambda worker: worker.cpu_percent,
    "memory": lambda worker: worker.rss_bytes,
    "lag": lambda worker: worker.blocked_ms or worker.loop_lag_p99_ms,
    "open": lambda worker: worker.in_flight,
    "rps": lambda worker: worker.rps,
    "p95": lambda worker: worker.latency.p95_ms,
    "pid": lambda worker: f"{worker.identity.host}/{worker.pid:010d}",
}


def workers_grid(
    picture: Picture,
    width: int,
    sort: Sort,
    before: Sequence[RowKey] = (),
    among: Sequence[Column] = WORKER_COLUMNS,
) -> Grid:
    """Return the workers that are wanted, those in trouble first unless sorted otherwise."""
    summary = picture.summary
    columns = chosen_columns(among, width)
    workers = {worker.identity.id: worker for worker in picture.wanted.of(summary.workers)}
    requests = sum(worker.requests for worker in summary.workers)
    value = _VALUES[sort.by]
    by_pid = before or sorted(workers, key=lambda key: workers[key].pid)
    axis = trend_axis(summary, columns)

    def cells(key: RowKey) -> tuple[Cell, ...]:
        worker = workers[key]
        return tuple(_cell(column, worker, summary.at, axis, requests) for column in columns)

    return Grid(
        title="WORKERS",
        columns=columns,
        keys=ordered({key: value(worker) for key, worker in workers.items()}, sort, by_pid),
        cells=cells,
        sign=lambda key: worker_sign(workers[key]),
        sort=sort,
        empty="no worker yet",
        out_of=picture.out_of(summary.workers),
    )


def state_words(worker: WorkerSummary, now: float) -> str:
    """Return a worker's state and for how long: `blocked 1.9 s`, `gone 38 s`."""
    since = _state_s(worker, now)
    return f"{worker.state} {age(since)}" if since is not None else worker.state


def where(worker: WorkerSummary, now: float) -> str:
    """Return where a blocked worker is held, or for how long the others have been so."""
    if worker.state == "blocked":
        return worker.blocked_at or ""
    if worker.state == "silent" and worker.silence is not None:
        return what_it_was(worker.silence)
    since = _state_s(worker, now)
    if since is not None:
        return f"for {age(since)}"
    quota = worker.contention.quota
    if quota is not None and quota.stopped_share >= STOPPED:
        return f"its quota of {quota.cores:.3g} stops it {percent(quota.stopped_share)} of the time"
    return ""


def _state_s(worker: WorkerSummary, now: float) -> float | None:
    if worker.state == "blocked" and worker.blocked_ms is not None:
        return worker.blocked_ms / 1000
    if worker.state == "silent" and worker.last_seen is not None:
        return now - worker.last_seen
    if worker.state == "gone" and worker.gone_since is not None:
        return now - worker.gone_since
    return None


def _cell(column: Column, worker: WorkerSummary, now: float, axis: Axis, requests: int) -> Cell:
    quiet = "faint" if worker.state == "gone" else "text"
    match column.key:
        case "pid":
            return Cell(str(worker.pid), "faint" if worker.state == "gone" else "name")
        case "state":
            return Cell(worker.state, worker_style(worker))
        case "cpu":
            return Cell(percent(worker.cpu_percent / 100 if worker.cpu_percent is not None else None), quiet)
        case "memory":
            return Cell(size(worker.rss_bytes), quiet)
        case "lag":
            return lag_cell(worker, quiet)
        case "threads":
            pool = worker.threadpool
            if pool is None:
                return Cell(NO_DATA, "faint")
            return Cell(f"{pool.used}/{pool.total}", "medium" if pool.waiting else quiet)
        case "open":
            return Cell(short_count(worker.in_flight), quiet)
        case "n":
            return Cell(short_count(worker.requests), "dim")
        case "rps":
            return Cell(rate(worker.rps), quiet)
        case "err":
            share = worker.errors / worker.requests if worker.requests else None
            return Cell(percent(share), "medium" if worker.errors else "faint")
        case "p95":
            return quantile_cell(worker.latency, "p95", "faint" if worker.state == "gone" else "bright")
        case "queued":
            return marked_cell(worker.queued.p95_ms, worker.queued.known, "p95", quiet)
        case "gil":
            return Cell(percent(worker.gil.share if worker.gil is not None else None), quiet)
        case "stopped":
            return stopped_cell(worker, quiet)
        case "gc":
            return gc_cell(worker, quiet)
        case "share":
            return Cell(percent(worker.requests / requests if requests else None), quiet)
        case "agent":
            cpu = worker.agent_cpu_percent
            return Cell(percent(cpu / 100 if cpu is not None else None), "dim")
        case "up":
            return Cell(age(worker.uptime_s), "dim")
        case "where":
            return Cell(where(worker, now), "high" if worker.state == "blocked" else "dim")
        case _:
            return Cell(spark(axis.highest(worker.trend)), "chart")


def lag_ms(worker: WorkerSummary) -> float | None:
    """Return for how long its loop is held now, else p99 of how late it was over the window."""
    if worker.blocked_ms is not None and worker.state == "blocked":
        return worker.blocked_ms
    return worker.loop_lag_p99_ms


def lag_cell(worker: WorkerSummary, style: Style = "text") -> Cell:
    """Return how late its loop is: for how long it is held now, else p99 over the window."""
    lag = lag_ms(worker)
    if worker.state == "blocked" and worker.blocked_ms is not None:
        return Cell(ms(lag), "high")
    if lag is not None and lag >= LAG_MS:
        style = "medium"
    return marked_cell(lag, worker.loop_lags, "p99", style)


def stopped_cell(worker: WorkerSummary, style: Style = "text") -> Cell:
    """Return for which part of the time its quota of CPU stops it."""
    quota = worker.contention.quota
    if quota is None:
        return Cell(NO_DATA, "faint")
    return Cell(percent(quota.stopped_share), "medium" if quota.stopped_share >= STOPPED else style)


def gc_cell(worker: WorkerSummary, style: Style = "text") -> Cell:
    """Return p99 of its garbage collections' pauses."""
    pauses = worker.gc_pauses.count if worker.gc_pauses is not None else None
    return marked_cell(worker.gc_pause_p99_ms, pauses, "p99", style)
