"""The story of one slow request: what it did when, on one axis, repeats folded."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.model.happenings import SlowRow
from perftui.model.places import function_of
from perftui.model.stories import runs
from perftui.model.summary import Summary
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit, fit_line, fit_middle
from perftui.present.text.evidence import Row, Subject, rows_of, short_place, stacked
from perftui.present.text.spans import KINDS
from perftui.present.text.statements import terse
from perftui.present.text.units import age, clock, count, ms, percent, size
from perftui_agent.wire.requests import SlowRequest, Span

MANY = 3
"""From so many runs of one statement on it is worth asking whether one could do."""

_HEAD = 13
_MS = 8


def story_rows(summary: Summary, row: SlowRow | None, width: int, height: int) -> list[Row]:
    """Return everything known of one request."""
    if row is None:
        return rows_of([BLANK, (Cell("  this request has left the window", "dim"),)])
    request = row.request
    blocks = [_figures(summary, row, width), _waterfall(summary, row, width), _sums(request, width)]
    return stacked(blocks, height)


def _figures(summary: Summary, row: SlowRow, width: int) -> list[Row]:
    request = row.request
    ended = request.ended_at / 1e9
    status = "no status" if not request.status else str(request.status)
    items: list[tuple[str, str, Style]] = [
        ("took", ms(request.total_ns / 1e6), "high"),
        ("status", status, "medium" if request.status >= 500 else "text"),
        ("size", size(request.body_bytes), "text"),
        ("at", clock(ended), "text"),
        ("", f"{age(max(summary.at - ended, 0.0))} ago", "dim"),
    ]
    route = summary.route(request.route)
    if route is not None and route.latency.p50_ms:
        items.append(("usual p50", ms(route.latency.p50_ms), "text"))
    path = (Cell("  "), Cell(clean(f"{request.method} {request.path}"), "name"))
    links = [
        Row(
            fit_line((Cell("  route   ", "label"), Cell(clean(request.route), "name")), width),
            Subject("route", request.route),
        ),
        Row((Cell("  worker  ", "label"), Cell(str(row.pid), "name")), Subject("worker", row.worker)),
    ]
    shown = rows_of(pairs(items, width))
    return [*shown, *([] if path[1].text == request.route else rows_of([fit_line(path, width)])), *links]


def _waterfall(summary: Summary, row: SlowRow, width: int) -> list[Row]:
    request = row.request
    total = max(request.total_ns, 1)
    text = max(min(width * 2 // 5, 70), 24)
    room = max(width - _HEAD - text - _MS - 4, 8)
    head = Cell(" " * (_HEAD + text + _MS + 2))
    dropped = f"{count(request.spans_dropped)} spans more than are kept" if request.spans_dropped else ""
    rows = [Row(section("WHAT IT DID", width, dropped)), Row((head, Cell(_axis(total, room), "dim")))]
    held = _held_by(summary, row)
    if not request.spans and not held:
        rows.append(Row((Cell("  no span was seen: its time went to its own code", "dim"),)))
        return rows
    for span in request.spans:
        rows += _span(summary, span, total, text, room, width)
    if rest := uncovered(request.spans, total):
        spent = Cell(fit(ms(rest / 1e6), _MS, "right"), "bright")
        said = Cell(fit("in no span: its own code", text), "dim")
        if held:
            said = Cell(fit_middle(f"{short_place(held)} held the loop", text), "place")
        line = (Cell(fit("  the rest", _HEAD), "label"), said, spent)
        rows.append(Row(line, Subject("place", function_of(held)) if held else None))
    return rows


def _held_by(summary: Summary, row: SlowRow) -> str:
    """Return where a request itself held the loop the longest, as far as it was seen; empty if nowhere.

    A block in which it waited, before the app or for the loop, was another's.
    """
    began = row.request.ended_at - row.request.total_ns
    own = [(began + start, began + stop) for start, stop in _gaps(row.request.spans, row.request.total_ns)]
    blocks = [
        each.incident
        for each in summary.incidents
        if each.incident.kind == "loop-blocked"
        and (each.worker, each.incident.route) == (row.worker, row.request.route)
        and sum(
            max(min(each.incident.at + each.incident.ns, stop) - max(each.incident.at, start), 0)
            for start, stop in own
        )
        > each.incident.ns / 2
    ]
    return max(blocks, key=lambda each: each.ns).where if blocks else ""


def _span(summary: Summary, span: Span, total: int, text: int, room: int, width: int) -> list[Row]:
    times = f"{count(span.count)}× " if span.count > 1 else ""
    most = max(text - len(times), 4)
    name = clean(span.name)
    if span.kind in {"sql", "transaction"}:
        name = terse(span.name, most)
    elif span.kind == "loop":
        name = f"{short_place(span.name)} held it"
    style: Style = "chart-high" if span.ns * 4 >= total else "chart"
    line = (
        Cell(fit(f"  {KINDS.get(span.kind, clean(span.kind))}", _HEAD), "label"),
        Cell(times, "high" if span.count >= MANY else "text"),
        Cell(fit_middle(name, most), "name"),
        Cell(fit(ms(span.ns / 1e6), _MS, "right"), "bright"),
        Cell("  "),
        Cell(_bar(span, total, room), style),
    )
    rows = [Row(line, _leads_to(summary, span))]
    if note := _note(span):
        rows.append(
            Row(
                fit_line(
                    (Cell(" " * _HEAD), Cell(fit_middle(note, min(len(note), width - _HEAD - 1)), "dim")),
                    width,
                )
            )
        )
    return rows


def _leads_to(summary: Summary, span: Span) -> Subject | None:
    if span.kind in {"sql", "transaction"}:
        found = (each.fingerprint for each in summary.asked if runs(span, each))
        fingerprint = next(found, None)
        return Subject("statement", fingerprint) if fingerprint else None
    if span.kind in {"pool", "connect"}:
        return Subject("pool", span.name)
    if span.kind == "loop":
        return Subject("place", function_of(span.name))
    if span.kind == "http":
        begins = span.name.partition("/")[0]
        return next(
            (
                Subject("upstream", row.key)
                for row in summary.upstreams
                if f"{row.method} {row.host}" == begins
            ),
            None,
        )
    if span.kind == "cache" and any(cache.name == span.name for cache in summary.caches):
        return Subject("cache", span.name)
    return None


def _note(span: Span) -> str:
    """Return what a span's line has no room for: where it came from, and what that means."""
    place = f"from {clean(span.call_site)}" if span.call_site else ""
    if span.count >= MANY and span.distinct_binds is not None and span.distinct_binds * 2 > span.count:
        return ", ".join(filter(None, ("other binds each time", place))) + ": one statement could do"
    if span.count >= MANY and span.distinct_binds == 1:
        return ", ".join(filter(None, ("the same binds each time", place))) + ": once would do"
    return place


def _bar(span: Span, total: int, width: int) -> str:
    """Return a bar from where a span began, as long as it took in sum."""
    first = min(int(span.start_ns / total * width), width - 1)
    length = span.ns / total * width
    if length < 0.75:
        return " " * first + "╸"
    return " " * first + "━" * min(max(round(length), 1), width - first)


def _axis(total: int, width: int) -> str:
    """Return the axis: its start, as many quarters as stand apart, its end."""
    line = list("─" * width)
    end = ms(total / 1e6)
    marks = (0, 0.5) if width < 60 else (0, 0.25, 0.5, 0.75)
    for mark in marks:
        text = f"┴{ms(total / 1e6 * mark)}"
        place = int(mark * width)
        if place + len(text) < width - len(end) - 1:
            line[place : place + len(text)] = text
    line[width - len(end) - 1 :] = f"{end}┴"
    return "".join(line)


def uncovered(spans: Sequence[Span], total: int) -> int:
    """Return how much of the request lies in no span; folded spans count from their start, in sum."""
    return sum(stop - start for start, stop in _gaps(spans, total))


def _gaps(spans: Sequence[Span], total: int) -> list[tuple[int, int]]:
    """Return the stretches of a request that lie in no span."""
    gaps, end = [], 0
    for start, stop in sorted((span.start_ns, span.start_ns + span.ns) for span in spans):
        if start > end:
            gaps.append((end, min(start, total)))
        end = max(end, stop)
    return [(start, stop) for start, stop in [*gaps, (end, total)] if stop > start]


def _sums(request: SlowRequest, width: int) -> list[Row]:
    """Return what the spans of each kind sum up to."""
    sums: dict[str, tuple[int, int]] = {}
    for span in request.spans:
        ns, number = sums.get(span.kind, (0, 0))
        sums[span.kind] = (ns + span.ns, number + span.count)
    if len(sums) < 2:
        return []
    items: list[tuple[str, str, Style]] = [
        (KINDS.get(kind, clean(kind)), f"{ms(ns / 1e6)} {percent(ns / max(request.total_ns, 1))}", "bright")
        for kind, (ns, _) in sorted(sums.items(), key=lambda item: -item[1][0])
    ]
    lines: list[Line] = [
        section("IN SUM", width, "spans overlap: what waits for the loop may be waiting in SQL too")
    ]
    return rows_of([*lines, *pairs(items, width)])
