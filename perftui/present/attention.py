"""What asks to be looked at, worst first, one line each: state and figures, no guesses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perftui.model.summary import Summary
from perftui.present.cells import Cell, Line, clean, fit, fit_line, spread, width_of
from perftui.present.signs import RANK, Severity, sign
from perftui.present.units import age, count, ms, percent

_KIND = 13

HELD_LONG_MS = 1000.0
"""A loop held for longer than this was as good as blocked."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to look at."""

    severity: Severity
    kind: str
    subject: str
    detail: str


def notices(summary: Summary) -> list[Notice]:
    """Return all there is to say, the worst first; what is equally bad keeps its order."""
    rules = (_workers, _targets, _blocks, _exceptions, _losses)
    found = [notice for rule in rules for notice in rule(summary)]
    return sorted(found, key=lambda notice: RANK[notice.severity])


def attention_lines(found: list[Notice], width: int, height: int) -> list[Line]:
    """Return the worst `height` notices; the last line tells how many there are besides."""
    if not found:
        return [(Cell(" "), sign("low"), Cell(" nothing stands out", "faint"))]
    lines = [_line(notice, width) for notice in found[:height]]
    if len(found) > height:
        more = (Cell(f"+ {len(found) - height} more ", "dim"),)
        lines[-1] = spread(fit_line(lines[-1], width - width_of(more) - 1), more, width)
    return lines


def _line(notice: Notice, width: int) -> Line:
    style = {"high": "high", "medium": "medium", "low": "dim"}[notice.severity]
    cells = (
        Cell(" "),
        sign(notice.severity),
        Cell(" "),
        Cell(fit(notice.kind, _KIND), style),
        Cell(" "),
        Cell(clean(notice.subject), "bright"),
        Cell("  "),
        Cell(clean(notice.detail), "text"),
    )
    return fit_line(cells, width)


def _workers(summary: Summary) -> Iterator[Notice]:
    for worker in summary.workers:
        if worker.state == "blocked":
            where = worker.blocked_at or "an unknown place"
            held = age(worker.blocked_ms / 1000) if worker.blocked_ms is not None else "over 1 s"
            route = f" · {worker.blocked_route}" if worker.blocked_route else ""
            yield Notice("high", "blocked", where, f"holds worker {worker.pid} for {held}{route}")
        elif worker.state == "silent":
            quiet = f" for {age(summary.at - worker.last_seen)}" if worker.last_seen else ""
            yield Notice(
                "high", "silent", f"worker {worker.pid}", f"no word{quiet}: stopped, or its GIL is held"
            )
        elif worker.state == "gone":
            since = f" {age(summary.at - worker.gone_since)} ago" if worker.gone_since else ""
            yield Notice("medium", "gone", f"worker {worker.pid}", f"ended{since}")


def _targets(summary: Summary) -> Iterator[Notice]:
    for verdict in summary.slo:
        if verdict.met is False:
            yield Notice(
                "high",
                "slo-breach",
                verdict.scope,
                f"misses {verdict.slo}: {_slo_value(verdict.slo, verdict.value)}",
            )


def _slo_value(slo: str, value: float | None) -> str:
    if slo.startswith("p"):
        return ms(value)
    return percent(value) if slo.startswith("err") else f"{value:.1f}" if value is not None else "no data"


def _blocks(summary: Summary) -> Iterator[Notice]:
    """Fold incidents of one place into one notice: how often, how long at most, serving what."""
    by_place: dict[str, list[tuple[float, str]]] = {}
    for row in summary.incidents:
        held_ms = row.incident.ns / 1e6
        by_place.setdefault(row.incident.where, []).append((held_ms, row.incident.route or ""))
    for where, held in sorted(by_place.items(), key=lambda item: -max(item[1])[0]):
        longest, route = max(held)
        severity: Severity = "high" if longest >= HELD_LONG_MS else "medium"
        served = f" · {route}" if route else ""
        yield Notice(severity, "loop-blocked", where, f"{len(held)}×, {ms(longest)} at most{served}")


def _exceptions(summary: Summary) -> Iterator[Notice]:
    for route in summary.routes:
        for exception in route.exceptions[:1]:
            detail = f"{count(exception.count)}× at {exception.place} · {route.route}"
            yield Notice("medium", "exception", exception.type, detail)


def _losses(summary: Summary) -> Iterator[Notice]:
    for worker in summary.workers:
        if worker.agent_faults:
            places = ", ".join(worker.agent_faults)
            yield Notice("low", "agent-fault", f"worker {worker.pid}", f"the agent had faults in {places}")
        elif worker.agent_dropped:
            yield Notice(
                "low", "dropped", f"worker {worker.pid}", f"{count(worker.agent_dropped)} records not counted"
            )
