"""One worker: its process, its loop, what it serves right now, and what the agent costs it."""

from __future__ import annotations

from perftui.model.summary import Summary, WorkerSummary
from perftui.present.cells import BLANK, Cell, Line, clean, fit, fit_line, fit_middle
from perftui.present.charts import Axis, area, round_up
from perftui.present.quantile import quantile_cell
from perftui.present.route_detail import pairs, section
from perftui.present.signs import LAG_MS, worker_sign, worker_style
from perftui.present.units import age, count, ms, percent, rate, size
from perftui.present.workers import state_words


def worker_lines(summary: Summary, worker_id: str, width: int, height: int) -> list[Line]:
    """Return everything known of one worker, its state first."""
    worker = summary.worker(worker_id)
    if worker is None:
        return [BLANK, (Cell("  this worker is not known any more", "dim"),)]
    blocks = [
        _state(worker, summary.at, width),
        _process(worker, width),
        _over_time(summary, worker, width, 1 if height < 30 else 3),
        _flights(summary, worker, width),
        _incidents(summary, worker, width),
        _agent(worker, width),
    ]
    lines: list[Line] = []
    for block in blocks:
        if block and lines and height >= 30:
            lines.append(BLANK)
        lines += block
    return lines


def _state(worker: WorkerSummary, now: float, width: int) -> list[Line]:
    words = Cell(f" {state_words(worker, now)} ", worker_style(worker))
    held: list[Cell] = []
    if worker.state == "blocked":
        held = [Cell("  at ", "dim"), Cell(clean(worker.blocked_at or "an unknown place"), "high")]
        if worker.blocked_route:
            held += [Cell("  serving ", "dim"), Cell(clean(worker.blocked_route), "bright")]
    elif worker.state == "silent":
        held = [Cell("  stopped, or its GIL is held: a dump through a sibling (D) tells", "dim")]
    return [fit_line((Cell(" "), worker_sign(worker), Cell(" "), words, *held), width)]


def _process(worker: WorkerSummary, width: int) -> list[Line]:
    lag = worker.loop_lag_p99_ms
    items = [
        ("cpu", percent(worker.cpu_percent / 100 if worker.cpu_percent is not None else None), "bright"),
        ("memory", size(worker.rss_bytes), "bright"),
        ("lag p99", ms(lag), "medium" if lag is not None and lag >= LAG_MS else "bright"),
        ("gc pause p99", ms(worker.gc_pause_p99_ms), "text"),
        ("open", count(worker.in_flight), "text"),
        ("rps", rate(worker.rps), "text"),
        ("p95", *quantile_cell(worker.latency, "p95")),
        ("errors", count(worker.errors), "medium" if worker.errors else "text"),
        ("threads", count(worker.threads), "text"),
        ("files", count(worker.open_files), "text"),
        ("up", age(worker.uptime_s), "text"),
    ]
    if (pool := worker.threadpool) is not None:
        waiting = f", {pool.waiting} waiting" if pool.waiting else ""
        items.append(
            ("threadpool", f"{pool.used}/{pool.total}{waiting}", "medium" if pool.waiting else "text")
        )
    identity = worker.identity
    software = [identity.server, f"Python {identity.python}" if identity.python else ""]
    software += [f"{name} {version}" for name, version in identity.frameworks.items()]
    about = clean(" · ".join(text for text in (identity.host, *software) if text))
    return [*pairs(items, width), fit_line((Cell("  "), Cell(about, "dim")), width)]


def _over_time(summary: Summary, worker: WorkerSummary, width: int, height: int) -> list[Line]:
    axis = Axis.over([point.at for point in summary.points], summary.window_s, width - 18)
    columns = axis.highest(worker.trend)
    peak = max((value for value in columns if value is not None), default=None)
    if peak is None:
        return []
    labels = [(Cell(fit("  p95", 6), "label"), Cell(fit(ms(worker.latency.p95_ms), 8, "right"), "bright"))]
    labels += [(Cell(fit(f"peak {ms(peak)}", 14, "right"), "faint"), Cell(""))]
    labels += [(Cell(" " * 14), Cell(""))] * height
    drawing = area(columns, height, round_up(peak))
    return [(*label, Cell("  "), Cell(text, "chart")) for label, text in zip(labels, drawing, strict=False)]


def _flights(summary: Summary, worker: WorkerSummary, width: int) -> list[Line]:
    rows = [row.request for row in summary.in_flight if row.worker == worker.identity.id]
    if not rows:
        return []
    lines: list[Line] = [section("IN FLIGHT", width, "the oldest first")]
    for request in sorted(rows, key=lambda request: -request.age_ns)[:12]:
        place = clean(request.waiting_at or "")
        room = max((width - 14) // 2, 10)
        lines.append(
            (
                Cell(fit(ms(request.age_ns / 1e6), 10, "right"), "bright"),
                Cell("  "),
                Cell(fit_middle(clean(f"{request.method} {request.path}"), room), "name"),
                Cell("  "),
                Cell(fit(place, max(width - room - 14, 0)), "dim"),
            )
        )
    return lines


def _incidents(summary: Summary, worker: WorkerSummary, width: int) -> list[Line]:
    rows = [row.incident for row in summary.incidents if row.worker == worker.identity.id]
    if not rows:
        return []
    lines: list[Line] = [section("HELD THE LOOP", width, "the latest first")]
    for incident in sorted(rows, key=lambda incident: -incident.at)[:8]:
        ago = f"{age(summary.at - incident.at / 1e9)} ago" if not incident.ongoing else "now"
        served = f"  {incident.route}" if incident.route else ""
        lines.append(
            fit_line(
                (
                    Cell(fit(ms(incident.ns / 1e6), 10, "right"), "bright"),
                    Cell(fit(f"  {ago}", 14), "dim"),
                    Cell(clean(incident.where), "name"),
                    Cell(clean(served), "dim"),
                ),
                width,
            )
        )
    return lines


def _agent(worker: WorkerSummary, width: int) -> list[Line]:
    cpu = worker.agent_cpu_percent
    items = [
        ("cpu", percent(cpu / 100 if cpu is not None else None), "text"),
        ("memory", size(worker.agent_rss_bytes), "text"),
        ("not counted", count(worker.agent_dropped), "medium" if worker.agent_dropped else "text"),
    ]
    items += [
        (f"fault {clean(place)}", f"{number}×", "medium") for place, number in worker.agent_faults.items()
    ]
    if worker.agent_degraded:
        items.append(("gives up", clean(worker.agent_degraded), "medium"))
    note = f"agent {clean(worker.identity.agent)}" if worker.identity.agent else ""
    lines = [section("THE AGENT'S OWN COST", width, note), *pairs(items, width)]
    for probe, state in sorted(worker.probes.items()):
        on = state == "on"
        mark = Cell("  ✓ " if on else "  · ", "good" if on else "faint")
        lines.append((mark, Cell(fit(clean(probe), 14)), Cell(fit(clean(state), max(width - 20, 4)), "dim")))
    return lines
