"""What asks to be looked at, worst first, one line each: what is so now, then what the findings say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perftui.model.summary import Finding, Severity, Summary
from perftui.present.cells import Cell, Line, clean, fit, fit_line, shortened, spread, width_of
from perftui.present.signs import RANK, sign
from perftui.present.units import age, count

_KIND = 14

_COLUMNS = re.compile(r"\bSELECT\b.{20,}?\bFROM\b")

_WITH_AGE = 100
"""From this width on a line ends with how long it has been so."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to look at."""

    severity: Severity
    kind: str
    subject: str
    detail: str
    since: float | None = None


def notices(summary: Summary, findings: Sequence[Finding] = ()) -> list[Notice]:
    """Return all there is to say, the worst first; what is equally bad keeps its order."""
    said = {_function_of(worker.blocked_at or "") for worker in summary.workers if worker.state == "blocked"}
    judged = [
        Notice(each.severity, each.kind, each.subject, each.sentence, each.since)
        for each in findings
        # A block that goes on now is told by the worker that is in it.
        if not (each.kind == "loop-blocked" and _function_of(each.subject) in said)
    ]
    found = [*_in_trouble(summary), *judged, *_losses(summary)]
    return sorted(found, key=lambda notice: RANK[notice.severity])


def attention_lines(found: list[Notice], now: float, width: int, height: int) -> list[Line]:
    """Return the worst `height` notices; the last line tells how many there are besides."""
    if not found:
        return [(Cell(" "), sign("low"), Cell(" nothing stands out", "faint"))]
    lines = [_line(notice, now, width) for notice in found[:height]]
    if len(found) > height:
        more = (Cell(f"  + {len(found) - height} more ", "dim"),)
        lines[-1] = spread(fit_line(lines[-1], width - width_of(more) - 1), more, width)
    return lines


def _line(notice: Notice, now: float, width: int) -> Line:
    style = {"high": "high", "medium": "medium", "low": "dim"}[notice.severity]
    said = (
        Cell(" "),
        sign(notice.severity),
        Cell(" "),
        Cell(fit(notice.kind, max(_KIND, len(notice.kind))), style),
        Cell(" "),
        Cell(shortened(_brief(notice.subject), max(width * 2 // 5, 24)), "bright"),
        Cell("  "),
        Cell(_brief(notice.detail), "text"),
    )
    if notice.since is None or width < _WITH_AGE:
        return fit_line(said, width - 1)
    lasting = (Cell(f"  {age(max(now - notice.since, 0.0))} ", "dim"),)
    return spread(fit_line(said, width - width_of(lasting) - 1), lasting, width)


def _brief(text: str) -> str:
    """Return a text with the columns of its statements left out: the tables tell more."""
    return _COLUMNS.sub("SELECT … FROM", clean(text))


def _function_of(place: str) -> str:
    """Return a place without its line: `app/reports.py build` of `app/reports.py:42 build`."""
    path, _, rest = place.rpartition(":")
    return f"{path} {rest.partition(' ')[2]}"


def _in_trouble(summary: Summary) -> Iterator[Notice]:
    """Yield the workers that don't work at this moment."""
    for worker in summary.workers:
        if worker.state == "blocked":
            where = worker.blocked_at or "an unknown place"
            held = age(worker.blocked_ms / 1000) if worker.blocked_ms is not None else "over 1 s"
            route = f" · {worker.blocked_route}" if worker.blocked_route else ""
            yield Notice("high", "blocked", where, f"holds worker {worker.pid} for {held}{route}")
        elif worker.state == "silent":
            quiet = f" for {age(summary.at - worker.last_seen)}" if worker.last_seen else ""
            detail = f"no word{quiet}: stopped, or its GIL is held"
            yield Notice("high", "silent", f"worker {worker.pid}", detail)


def _losses(summary: Summary) -> Iterator[Notice]:
    """Yield what the picture lacks through the agents' own fault."""
    for worker in summary.workers:
        if worker.agent_faults:
            places = ", ".join(worker.agent_faults)
            yield Notice("low", "agent-fault", f"worker {worker.pid}", f"the agent had faults in {places}")
        elif worker.agent_degraded:
            detail = f"the agent saves the app's CPU: {worker.agent_degraded}"
            yield Notice("low", "degraded", f"worker {worker.pid}", detail)
        elif worker.agent_dropped:
            detail = f"{count(worker.agent_dropped)} records not counted"
            yield Notice("low", "dropped", f"worker {worker.pid}", detail)
