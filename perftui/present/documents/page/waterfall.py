"""The stories of slow requests as bars on one axis: what a template draws as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.model.happenings import SlowRow
from perftui.model.route_summary import RouteSummary
from perftui.present.details.route_blocks import parts
from perftui.present.details.story import uncovered
from perftui.present.text.cells import clean
from perftui.present.text.evidence import short_place
from perftui.present.text.spans import KINDS
from perftui.present.text.statements import terse
from perftui.present.text.units import clock, count, ms, percent
from perftui.record import Record

LONGEST_NAME = 90

LEAST_REST = 0.1
"""Of a request."""


class Bar(Record, frozen=True):
    """One stretch; x and width in per cent of the whole."""

    kind: str
    """A word for the class that colours it."""
    label: str
    name: str
    value: str
    x: float
    width: float
    note: str = ""


class Waterfall(Record, frozen=True):
    """One slow request."""

    title: str
    about: str
    total: str
    bars: tuple[Bar, ...]
    rest: str = ""
    """How much of it lies in none of them, if that is a part worth telling."""


def waterfall(row: SlowRow) -> Waterfall:
    """Return the story of a request."""
    request = row.request
    whole = max(request.total_ns, 1)
    bars = tuple(
        Bar(
            kind=span.kind if span.kind in KINDS else "other",
            label=KINDS.get(span.kind, clean(span.kind)),
            name=_name(span.kind, span.name, span.count),
            value=ms(span.ns / 1e6),
            x=min(100.0 * span.start_ns / whole, 100.0),
            width=max(min(100.0 * span.ns / whole, 100.0 - 100.0 * span.start_ns / whole), 0.3),
            note=f"from {clean(span.call_site)}" if span.call_site else "",
        )
        for span in request.spans
    )
    about = f"{clock(request.ended_at / 1e9)} · worker {row.pid} · status {request.status or '–'}"
    if request.spans_dropped:
        about += f" · {count(request.spans_dropped)} spans more than are kept"
    title = f"{clean(request.method)} {clean(request.path)}"
    rest = uncovered(request.spans, request.total_ns)
    told = ms(rest / 1e6) if rest >= LEAST_REST * whole else ""
    return Waterfall(title, about, ms(request.total_ns / 1e6), bars, told)


def spent(route: RouteSummary) -> tuple[Bar, ...]:
    """Return where an average request of a route spends its time, part by part; they may overlap."""
    known = [(name, value, note) for name, value, note in parts(route) if value]
    mean = route.total_ms / max(route.latency.count, 1)
    if not mean:
        return ()
    rest = max(mean - sum(value for _, value, _ in known), 0.0)
    return tuple(
        Bar(_KIND.get(name, "other"), name, note, ms(value), 0.0, min(100.0 * value / mean, 100.0),
            percent(value / mean))
        for name, value, note in [*known, ("the rest", rest, "the route's own code")]
    )  # fmt: skip


_KIND = {
    "queued": "queue",
    "SQL": "sql",
    "commit": "transaction",
    "DB locks": "lock",
    "pool wait": "pool",
    "thread wait": "threadpool",
    "loop wait": "loop",
    "cache": "cache",
    "HTTP": "http",
    "serialize": "serialize",
}


def _name(kind: str, name: str, times: int) -> str:
    text = clean(name)
    if kind in {"sql", "transaction"}:
        text = terse(name, LONGEST_NAME)
    elif kind == "loop":
        text = f"{short_place(name)} held it"
    return f"{times}× {text}" if times > 1 else text


def slowest_of(rows: Sequence[SlowRow], most: int) -> list[SlowRow]:
    """Return the slowest requests, no more than two of a route: ten of one kind tell no more than two."""
    chosen: list[SlowRow] = []
    of_route: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: -row.request.total_ns):
        if of_route.get(row.request.route, 0) < 2 and len(chosen) < most:
            of_route[row.request.route] = of_route.get(row.request.route, 0) + 1
            chosen.append(row)
    return chosen
