"""What a worker competes with, as blocks of its screen: quota, processors, the machine, the GIL."""

from __future__ import annotations

from collections.abc import Mapping

from perftui.model.gil import Gil
from perftui.model.machine import Quota
from perftui.model.worker_summary import WorkerSummary
from perftui.present.charts.drawing import bar
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import Cell, Line, Style, clean, fit, fit_line, fit_middle
from perftui.present.text.units import count, ms, percent, rate
from perftui_agent.wire.machine import Host, Pressure

MOST_HOLDERS = 5

STANDS_OUT = 0.05
"""Of the time: from here on it is told in colour."""

MUCH_PRESSURE = 0.2
"""Somebody on a machine that is well used always waits a little."""

MOSTLY_HELD = 0.8
"""A GIL that is held for so long is what other threads wait for."""


def contention_figures(worker: WorkerSummary) -> list[tuple[str, str, Style]]:
    """Return, as figures for `pairs`, its quota and how long its threads waited for a processor."""
    items: list[tuple[str, str, Style]] = []
    contention = worker.contention
    if contention.quota is not None:
        items.append(("quota", *_quota(contention.quota)))
    if (waited := contention.waited_share) is not None:
        style: Style = "medium" if waited >= MUCH_PRESSURE else "text"
        items.append(("waits for a CPU", percent(waited), style))
    if worker.gil is not None:
        items.append(
            ("GIL held", gil_text(worker.gil), "medium" if worker.gil.share >= MOSTLY_HELD else "text")
        )
    return items


def _quota(quota: Quota) -> tuple[str, Style]:
    cores = f"{quota.cores:.3g} core{'' if quota.cores == 1 else 's'}"
    if not quota.throttled:
        return f"{cores}, never used up", "text"
    stopped = f", stopped {ms(1000 * quota.stopped_share)} of each second" if quota.stopped_share else ""
    style: Style = "medium" if quota.stopped_share >= STANDS_OUT else "text"
    return f"{cores}{stopped}, used up in {count(quota.throttled)} of {count(quota.periods)} periods", style


def gil_text(gil: Gil) -> str:
    """Return the share of the time in which it was held, and how far that may be off: `83% ±3`."""
    return f"{percent(gil.share)} ±{max(100 * gil.error, 0.1):.2g}"


def machine(worker: WorkerSummary, width: int) -> list[Line]:
    """Return the machine it runs on, and what its control group lacks."""
    contention = worker.contention
    items = _host(contention.host) if contention.host is not None else []
    if contention.pressure and (told := _pressure(contention.pressure)):
        items.append(("pressure in its group", *told))
    if not items:
        return []
    return [section("ITS MACHINE", width, clean(worker.identity.host)), *pairs(items, width)]


def _host(host: Host) -> list[tuple[str, str, Style]]:
    items: list[tuple[str, str, Style]] = []
    if host.cores is not None:
        items.append(("cores", count(host.cores), "text"))
    if host.busy is not None:
        items.append(("busy", percent(host.busy), "text"))
    if host.steal is not None:
        items.append(("steal", percent(host.steal), "medium" if host.steal >= STANDS_OUT else "text"))
    if host.load is not None:
        items.append(("load", rate(host.load), "text"))
    if host.runnable is not None:
        items.append(("run or want to", count(host.runnable), "text"))
    if told := _pressure(host.pressure):
        items.append(("pressure", *told))
    return items


def _pressure(told: Mapping[str, Pressure]) -> tuple[str, Style] | None:
    """Return for which part of the time somebody waited for what: `cpu 31% · memory 0% · io 2%`."""
    if not told:
        return None
    style: Style = "medium" if max(each.some for each in told.values()) >= MUCH_PRESSURE else "text"
    return " · ".join(f"{clean(kind)} {percent(each.some)}" for kind, each in told.items()), style


def gil(worker: WorkerSummary, width: int) -> list[Line]:
    """Return who holds its GIL, if anybody does for long enough to be told apart."""
    told = worker.gil
    if told is None:
        return []
    # What is no more than its own error may be nothing.
    least = max(told.error, 1.0 / max(told.known, 1.0))
    known = [each for each in told.by if each.share > least][:MOST_HOLDERS]
    if not known:
        return []
    note = f"an estimate from {count(told.looks)} looks: {gil_text(told)} points"
    lines: list[Line] = [section("WHO HOLDS THE GIL", width, note)]
    room = max(min(width // 5, 24), 10)
    for each in known:
        place = clean(each.where) or ("the loop itself, or code of libraries" if each.thread else "")
        lines.append(
            fit_line(
                (
                    Cell(f"{percent(each.share):>8}  ", "bright"),
                    Cell(fit(bar(each.share, room), room), "chart"),
                    Cell(f"  {fit_middle(clean(each.thread) or '(others)', 22)}", "dim"),
                    Cell(f"  {place}", "place"),
                    Cell(f"  {clean(each.route)}" if each.route else "", "dim"),
                ),
                width,
            )
        )
    return lines
