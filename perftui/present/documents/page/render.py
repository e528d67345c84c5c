"""An incident as one self-contained page of HTML, or as Markdown.

Jinja2 fills the templates beside this file and escapes what comes from outside. The page asks no network for
anything: its style and its script stand in it, and by hash are all that its policy lets run.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from perftui.findings.over_time import Stood
from perftui.findings.worker_gone import LOST, RESTARTED
from perftui.model.happenings import Event
from perftui.model.ramp import RampCourse
from perftui.model.summary import Summary
from perftui.present.documents.markdown import plain_markdown
from perftui.present.documents.page.incident import MOST_EVENTS, MOST_ROUTES, Incident
from perftui.present.documents.page.taken import Taken
from perftui.present.text import units
from perftui.present.text.cells import clean
from perftui.present.text.quantile import marked, quantile
from perftui.present.text.signs import SIGNS

MOST_BYTES = 2_000_000
"""What can be attached to a ticket anywhere."""

DRAWN = frozenset({"worker-lost", "worker-restarted", "deploy", "mark", "clock-stepped"})
"""Events with a line of their own in the charts; of the others there are too many to see anything."""

LONGEST_VALUE = 600
"""Characters of one figure of evidence."""


def html(
    summary: Summary,
    findings: Sequence[Stood],
    taken: Sequence[Taken] = (),
    ramps: Sequence[RampCourse] = (),
    *,
    made_at: float,
    version: str,
    criteria: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the page; what exceeds `MOST_BYTES` is left out, the oldest dumps and profiles first."""
    kept = list(taken)
    routes = MOST_ROUTES
    left_out: list[str] = []
    while True:
        it = Incident(summary, findings, kept, ramps, routes=routes)
        context = _context(it, made_at, version) | {"criteria": criteria, "left_out": left_out}
        page = _environment(is_html=True).get_template("page.html").render(context)
        if len(page.encode()) <= MOST_BYTES or (not kept and routes <= 5):
            return page
        if kept:
            dropped = kept.pop()
            left_out.append(f"Left out, so that this page stays small: {dropped.title}, {dropped.about}")
        else:
            routes //= 2


def markdown(
    summary: Summary,
    findings: Sequence[Stood],
    taken: Sequence[Taken] = (),
    ramps: Sequence[RampCourse] = (),
    *,
    made_at: float,
    version: str,
    criteria: Mapping[str, str] = MappingProxyType({}),  # noqa: ARG001 - of the page alone
) -> str:
    """Return the same in short, as Markdown."""
    context = _context(Incident(summary, findings, taken, ramps), made_at, version)
    return _environment(is_html=False).get_template("page.md").render(context)


def _context(it: Incident, made_at: float, version: str) -> dict[str, Any]:
    style, script = _asset("page.css"), _asset("page.js")
    first = it.summary.at - it.summary.window_s
    events = _events(it)
    return {
        "it": it,
        "summary": it.summary,
        "signs": SIGNS,
        "events": events,
        "marks": sorted({round(at - first, 1) for at in _marks(it) if at >= first}),
        "made_at": made_at,
        "version": version,
        "zone": time.strftime("%Z", time.localtime(made_at)) or "local",
        # They are ours, and nothing is put into them.
        "style": Markup(style),  # noqa: S704
        "script": Markup(script),  # noqa: S704
        "style_hash": _hash_of(style),
        "script_hash": _hash_of(script),
    }


def _marks(it: Incident) -> Iterator[float]:
    """Yield the moments that are drawn into charts: those that a curve may be explained by."""
    yield from (stood.since for stood in it.causes)
    yield from (event.at for event in it.summary.events if event.kind in DRAWN and not event.part_of)


def _events(it: Incident) -> list[Event]:
    """Return what happened, and when findings came and went."""
    told = [event for event in it.summary.events if not event.part_of]
    for stood in it.findings:
        each = stood.finding
        if each.kind not in (LOST, RESTARTED):  # they are among what happened
            told.append(Event(stood.since, each.kind, each.subject, f"{each.subject}: found"))
        if stood.is_over:
            told.append(Event(stood.last, each.kind, each.subject, f"{each.subject}: seen last"))
    return sorted(told, key=lambda event: event.at)[-MOST_EVENTS:]


@cache
def _environment(*, is_html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("perftui.present.documents.page", ""),
        autoescape=is_html,  # noqa: S701 - Markdown is escaped by a filter of its own, text by text
        undefined=StrictUndefined,
        trim_blocks=False,
    )
    environment.filters |= {
        "ms": units.ms,
        "rate": units.rate,
        "percent": units.percent,
        "count": units.count,
        "size": units.size,
        "age": units.age,
        "clock": units.clock,
        "moment": _moment,
        "quantile": quantile,
        "marked": marked,
        "plain": lambda text: clean(str(text)),
        "words": lambda name: str(name).replace("_", " "),
        "told": _told,
        "md": lambda text: plain_markdown(str(text)),
    }
    return environment


@cache
def _asset(name: str) -> str:
    source, *_ = PackageLoader("perftui.present.documents.page", "").get_source(Environment(), name)  # noqa: S701
    return source.strip()


def _hash_of(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _told(value: Any) -> str:
    """Return a figure of a finding's evidence in words."""
    match value:
        case bool():
            text = "yes" if value else "no"
        case float():
            text = f"{value:,.6g}"
        case int():
            text = f"{value:,}"
        case None:
            text = "–"
        case Mapping():
            text = ", ".join(f"{key}: {_told(each)}" for key, each in value.items())
        case list() | tuple():
            text = ", ".join(_told(each) for each in value)
        case _:
            text = str(value)
    text = clean(text)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
