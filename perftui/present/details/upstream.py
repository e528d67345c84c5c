"""One upstream: where the time of its calls goes, what fails, what it is asked for, and by whom."""

from __future__ import annotations

from perftui.model.outside_summary import UpstreamSummary
from perftui.model.summary import Summary
from perftui.present.charts.drawing import bar
from perftui.present.picture import Picture
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit, fit_line
from perftui.present.text.evidence import Row, Subject, request_key, rows_of, stacked, verdict_rows
from perftui.present.text.quantile import marked_cell, quantile_cell, to_the_right
from perftui.present.text.units import clock, count, ms, percent, size

MOST = 8
"""Routes, places and requests."""


def upstream_rows(picture: Picture, key: str, width: int, height: int) -> list[Row]:
    """Return everything known of one upstream."""
    summary = picture.summary
    row = next((each for each in summary.upstreams if each.key == key), None)
    if row is None:
        return rows_of([BLANK, (Cell("  it was not called in this window", "dim"),)])
    found = [each for each in picture.findings if each.upstream == key]
    return stacked(
        [
            rows_of(_figures(row, width)),
            verdict_rows(found, width),
            rows_of(_spent(row, width)),
            rows_of(_failures(row, width)),
            rows_of(_paths(row, width)),
            _routes(summary, row, width),
            rows_of(_places(row, width)),
            _requests(summary, row, width),
        ],
        height,
    )


def _figures(row: UpstreamSummary, width: int) -> list[Line]:
    items: list[tuple[str, str, Style]] = [
        (name, *quantile_cell(row.latency, name, "bright")) for name in ("p50", "p95", "p99")
    ]
    items += [
        ("answer p95", *marked_cell(row.answer_p95_ms, row.answers, "p95")),
        ("n", count(row.count), "text"),
        ("errors", count(row.errors), "medium" if row.errors else "text"),
        ("time-outs", count(row.timeouts), "medium" if row.timeouts else "text"),
        ("given up", count(row.cancelled), "text"),
        ("again", count(row.retries), "text"),
        ("received", size(row.received_bytes), "text"),
        ("opened", count(row.opened), "text"),
        ("reused", count(row.reused), "text"),
    ]
    if row.connections is not None:
        items.append(("open now", f"{row.connections}, {row.idle or 0} idle", "text"))
    if row.limit is not None:
        items.append(("at most", count(row.limit), "text"))
    if row.under_way:
        items.append(("under way", f"{row.under_way}, the oldest {ms(row.oldest_ms)}", "bright"))
    if row.waiting:
        waits = f"{row.waiting} for a connection, up to {ms(row.longest_wait_ms)}"
        items.append(("waiting", waits, "medium"))
    return [*pairs(items, width), fit_line((Cell(f"  by {clean(row.library)}", "dim"),), width)]


def _spent(row: UpstreamSummary, width: int) -> list[Line]:
    """Return where the time of an average call goes."""
    if not row.count or not row.total_ms:
        return []
    unknown = f"of {count(row.held_unknown)} calls nobody knows" if row.held_unknown else ""
    parts = [
        ("pool wait", row.pool_wait_ms, ""),
        ("connect", row.connect_ms, f"{ms(row.tls_ms / row.count)} of it TLS" if row.tls_ms else ""),
        ("answer", row.answer_ms, "theirs, and the network's"),
        ("unread here", row.held_ms, unknown or "the loop, or the thread, was held"),
        ("body", row.body_ms, ""),
    ]
    room = max(width - 62, 6)
    lines: list[Line] = [section(f"WHERE AN AVERAGE CALL SPENDS ITS {ms(row.total_ms / row.count)}", width)]
    for name, spent_ms, note in parts:
        label = (
            Cell(fit(f"  {name}", 14), "label"),
            Cell(fit(ms(spent_ms / row.count), 8, "right"), "bright"),
        )
        drawn = Cell(fit(bar(spent_ms / row.total_ms, room), room), "chart")
        lines.append(fit_line((*label, Cell("  "), drawn, Cell(f"  {note}", "dim")), width))
    return lines


def _failures(row: UpstreamSummary, width: int) -> list[Line]:
    if not row.failures:
        return []
    most = sorted(row.failures.items(), key=lambda item: -item[1])[:MOST]
    items: list[tuple[str, str, Style]] = [(clean(name), count(times), "medium") for name, times in most]
    return [section("FAILED WITH", width), *pairs(items, width)]


def _paths(row: UpstreamSummary, width: int) -> list[Line]:
    if not row.paths:
        return []
    room = max(width - 38, 10)
    heading = f" {'ASKED FOR':<{room + 1}}{'n':>8}{'errors':>8}{'answer':>9}{'p95':>8}"
    lines: list[Line] = [(Cell(fit(heading, width), "section"),)]
    for path in row.paths[:MOST]:
        mean_ms = path.answer_ms / path.answers if path.answers else None
        line = (
            Cell("  "),
            Cell(fit(clean(path.path), room), "name"),
            Cell(f"{count(path.calls):>8}"),
            Cell(f"{count(path.errors):>8}", "medium" if path.errors else "text"),
            Cell(f"{ms(mean_ms) if mean_ms is not None else '':>9}"),
            to_the_right(marked_cell(path.answer_p95_ms, path.answers, "p95", "bright"), 8),
        )
        lines.append(fit_line(line, width))
        if path.call_site and len(row.paths) > 1:
            lines.append(fit_line((Cell(f"    {clean(path.call_site)}", "place"),), width))
    return lines


def _routes(summary: Summary, row: UpstreamSummary, width: int) -> list[Row]:
    room = max(width - 40, 10)
    heading = f" {'ROUTES THAT CALL IT':<{room + 1}}{'n':>8}{'per req':>9}{'time':>9}{'share':>8}"
    rows = [Row((Cell(fit(heading, width), "section"),))]
    for label, calls in list(row.routes.items())[:MOST]:
        route = summary.route(label)
        spent_ms = row.spent_ms.get(label, 0.0)
        each = f"{calls / route.requests:.1f}" if route is not None and route.requests else ""
        share = percent(min(spent_ms / route.total_ms, 1.0)) if route is not None and route.total_ms else ""
        line = (
            Cell("  "),
            Cell(fit(clean(label), room), "name"),
            Cell(f"{count(calls):>8}"),
            Cell(f"{each:>9}", "bright"),
            Cell(f"{ms(spent_ms):>9}"),
            Cell(f"{share:>8}"),
        )
        rows.append(Row(fit_line(line, width), Subject("route", label) if route is not None else None))
    return rows if len(rows) > 1 else []


def _places(row: UpstreamSummary, width: int) -> list[Line]:
    if not row.call_sites:
        return []
    lines: list[Line] = [section("CALLED FROM", width, "as often as somebody looked")]
    for place, times in list(row.call_sites.items())[:MOST]:
        lines.append(
            fit_line((Cell(fit(f"{count(times)}×", 8, "right")), Cell(f"  {clean(place)}", "place")), width)
        )
    return lines


def _requests(summary: Summary, row: UpstreamSummary, width: int) -> list[Row]:
    rows: list[Row] = []
    begins = f"{row.method} {row.host}"
    for slow in summary.slowest:
        spans = [
            span
            for span in slow.request.spans
            if span.kind == "http" and (span.name == begins or span.name.startswith(f"{begins}/"))
        ]
        if spans and len(rows) < MOST:
            line = (
                Cell(f"   {clock(slow.request.ended_at / 1e9)}  ", "dim"),
                Cell(clean(f"{slow.request.method} {slow.request.path}"), "name"),
                Cell(f"  {ms(sum(span.ns for span in spans) / 1e6)} of {ms(slow.request.total_ns / 1e6)}"),
            )
            rows.append(Row(fit_line(line, width), Subject("request", request_key(slow))))
    return [Row(section("SLOW REQUESTS THAT CALLED IT", width)), *rows] if rows else []
