"""The blocks of a worker's screen: its state, its process, and what the agent costs it."""

from __future__ import annotations

from perftui.model.evidence import how_it_ended, what_it_was
from perftui.model.quantiles import quantile_ms
from perftui.model.summary import Summary
from perftui.model.waiting import fullness, most_waiting
from perftui.model.worker_summary import WorkerSummary
from perftui.present.details.contention import contention_figures
from perftui.present.details.route_blocks import queued
from perftui.present.tables.workers import gc_cell, lag_cell, state_words
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import Cell, Line, Style, clean, fit, fit_line
from perftui.present.text.doubts import bounds
from perftui.present.text.quantile import marked_cell, quantile_cell
from perftui.present.text.signs import worker_sign, worker_style
from perftui.present.text.units import age, count, percent, rate, size

FILES_RUN_OUT = 0.8
"""From this share of the limit on, open files are held against it."""

NEARLY_FULL = 0.5
"""From this part of its limit on, an accept queue stands out."""

SKEWED = 1.5
"""From this multiple of an even share on, up or down, a worker stands out."""


def state(summary: Summary, worker: WorkerSummary, width: int) -> list[Line]:
    """Return how it stands, and what holds it."""
    now = summary.at
    siblings = [each for each in summary.workers if each is not worker and each.state == "ok"]
    words = Cell(f" {state_words(worker, now)} ", worker_style(worker))
    held: list[Cell] = []
    if worker.state == "blocked":
        held = [Cell("  at ", "dim"), Cell(clean(worker.blocked_at or "an unknown place"), "high")]
        if worker.blocked_route:
            held += [Cell("  serving ", "dim"), Cell(clean(worker.blocked_route), "bright")]
    elif worker.silence is not None:
        said = what_it_was(worker.silence)
        if worker.state == "gone":
            said = f"{how_it_ended(worker.silence)}: {said}"
        held = [Cell(f"  {clean(said)}", "high")]
    elif worker.state == "silent":
        # Without a sibling there is nobody whose agent could look at it.
        who = "a dump through a sibling (D)" if siblings else f"py-spy dump --pid {worker.pid} in a shell"
        held = [Cell(f"  stopped, or its GIL is held: {who} tells", "dim")]
    return [fit_line((Cell(" "), worker_sign(worker), Cell(" "), words, *held), width)]


def process(summary: Summary, worker: WorkerSummary, width: int) -> list[Line]:
    """Return its process in figures, and its part of the traffic."""
    items = [
        ("cpu", percent(worker.cpu_percent / 100 if worker.cpu_percent is not None else None), "bright"),
        ("memory", size(worker.rss_bytes), "bright"),
        ("lag p99", *lag_cell(worker)),
        ("gc pause p99", *gc_cell(worker)),
        ("open", count(worker.in_flight), "text"),
        ("rps", rate(worker.rps), "text"),
        *traffic(summary, worker),
        ("p95", *quantile_cell(worker.latency, "p95")),
        *queued(worker.queued),
        *backlog(worker),
        *contention_figures(worker),
        ("errors", count(worker.errors), "medium" if worker.errors else "text"),
        ("threads", count(worker.threads), "text"),
        ("files", *files(worker)),
        ("up", age(worker.uptime_s), "text"),
    ]
    if (pool := worker.threadpool) is not None:
        waiting = f", {pool.waiting} waiting" if pool.waiting else ""
        items.append(
            ("threadpool", f"{pool.used}/{pool.total}{waiting}", "medium" if pool.waiting else "text")
        )
    if (wait := worker.threadpool_wait) is not None:
        cell = marked_cell(quantile_ms(wait, 0.95), wait.count, "p95")
        items.append(("wait for a thread p95", *cell))
    identity = worker.identity
    software = [identity.server, f"Python {identity.python}" if identity.python else ""]
    software += [f"{name} {version}" for name, version in identity.frameworks.items()]
    version = f"{identity.service} {identity.version}" if identity.version else ""
    about = clean(" · ".join(text for text in (identity.host, version, *software) if text))
    return [*pairs(items, width), fit_line((Cell("  "), Cell(about, "dim")), width)]


def files(worker: WorkerSummary) -> tuple[str, Style]:
    """Return how many files it has open, and of how many it may where they run out."""
    opened, limit = worker.open_files, worker.open_files_limit
    if opened is None or not limit or opened < FILES_RUN_OUT * limit:
        return count(opened), "text"
    return f"{count(opened)} of {count(limit)}", "medium"


def backlog(worker: WorkerSummary) -> list[tuple[str, str, Style]]:
    """Return how many connections wait to be accepted, of how many that may: of its fullest socket."""
    known = [each for each in worker.listeners if each.waiting is not None]
    if not known:
        return []
    fullest = max(known, key=fullness)
    limit = "" if fullest.limit is None else f"/{fullest.limit}"
    most = max(map(most_waiting, worker.backlogs), default=0)
    peak = f", {count(most)} at most" if most > (fullest.waiting or 0) else ""
    style: Style = "medium" if fullness(fullest) >= NEARLY_FULL else "text"
    return [("to accept", f"{fullest.waiting}{limit}{peak}", style)]


def traffic(summary: Summary, worker: WorkerSummary) -> list[tuple[str, str, Style]]:
    """Return its share of all requests, and how that stands against an even one: `25%`, `1.02 of even`."""
    requests = sum(each.requests for each in summary.workers)
    serving = sum(each.state != "gone" for each in summary.workers)
    if not requests or serving < 2 or worker.state == "gone":
        return []
    share = worker.requests / requests
    skewed = not 1 / SKEWED <= share * serving <= SKEWED
    even = f"{percent(share)}, {share * serving:.2f} of an even one"
    return [("share", even, "medium" if skewed else "text")]


def forgotten(worker: WorkerSummary) -> str:
    """Return what the agent's tables had no room for, since it started."""
    named = [f"{count(number)} {clean(table)}" for table, number in worker.agent_forgotten.items() if number]
    return ", ".join(named)


def agent(worker: WorkerSummary, width: int) -> list[Line]:
    """Return what the agent costs it, and which probes are on, or why not."""
    cpu, rss_bytes = worker.agent_cpu_percent, worker.agent_rss_bytes
    items = [
        ("cpu", percent(cpu / 100 if cpu is not None else None), "text"),
        ("memory", size(rss_bytes) if rss_bytes is None else f"about {size(rss_bytes)}", "text"),
        ("not counted", count(worker.agent_dropped), "medium" if worker.agent_dropped else "text"),
    ]
    items += [
        (f"fault {clean(place)}", f"{number}×", "medium") for place, number in worker.agent_faults.items()
    ]
    if worker.agent_sampled > 1:
        items.append(("followed", f"1 request in {worker.agent_sampled}", "medium"))
    if worker.agent_degraded:
        items.append(("gives up", clean(worker.agent_degraded), "medium"))
    if worker.agent_bounded:
        items.append(("in sum only", bounds(dict(worker.agent_bounded)), "medium"))
    if worker.agent_clients:
        items.append(("clients", count(worker.agent_clients), "text"))
        items.append(("sent since it began", size(worker.agent_bytes_sent), "text"))
    if told := forgotten(worker):
        items.append(("forgotten", told, "text"))
    note = f"agent {clean(worker.identity.agent)}" if worker.identity.agent else ""
    lines = [section("THE AGENT'S OWN COST", width, note), *pairs(items, width)]
    room = max([14, *(len(probe) + 1 for probe in worker.probes)])
    for probe, state in sorted(worker.probes.items()):
        on = state == "on"
        mark = Cell("  ✓ " if on else "  · ", "good" if on else "faint")
        lines.append(
            (mark, Cell(fit(clean(probe), room)), Cell(fit(clean(state), max(width - room - 6, 4)), "dim"))
        )
    return lines
