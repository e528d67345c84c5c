"""One cache: how often it has what is asked for, and what to do about it."""

from __future__ import annotations

from perftui.model.summary import Summary
from perftui.present.charts.drawing import bar
from perftui.present.picture import Picture
from perftui.present.tables.caches import hit_ratio, p95_cell, room
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit, fit_line
from perftui.present.text.evidence import Row, Subject, request_key, rows_of, stacked, verdict_rows
from perftui.present.text.units import clock, count, ms, percent, rate
from perftui_agent.wire.outside import CacheFrame


def cache_rows(picture: Picture, name: str, width: int, height: int) -> list[Row]:
    """Return everything known of one cache."""
    summary = picture.summary
    cache = next((each for each in summary.caches if each.name == name), None)
    if cache is None:
        return rows_of([BLANK, (Cell("  this cache was not asked in this window", "dim"),)])
    found = [each for each in picture.findings if each.cache == name]
    return stacked(
        [
            rows_of(_figures(summary, cache, width)),
            verdict_rows(found, width),
            rows_of(_lookups(cache, width)),
            _requests(summary, name, width),
        ],
        height,
    )


def _figures(summary: Summary, cache: CacheFrame, width: int) -> list[Line]:
    lookups = cache.hits + cache.misses
    items: list[tuple[str, str, Style]] = [
        ("hit ratio", percent(hit_ratio(cache)), "bright"),
        ("lookups", f"{rate(lookups / max(summary.window_s, 1.0))}/s", "text"),
        ("entries", room(cache), "bright"),
        ("expired", count(cache.expirations), "text"),
        ("stampedes", count(cache.stampedes), "medium" if cache.stampedes else "text"),
        ("errors", count(cache.errors), "medium" if cache.errors else "text"),
    ]
    if cache.latency is not None:
        items.append(("command p95", *p95_cell(cache, "bright")))
        items.append(("n", count(cache.latency.count), "text"))
    return [*pairs(items, width), fit_line((Cell("  "), Cell(clean(cache.kind), "dim")), width)]


def _lookups(cache: CacheFrame, width: int) -> list[Line]:
    total = max(cache.hits + cache.misses, 1)
    parts = [("hits", cache.hits), ("misses", cache.misses)]
    if cache.evictions is not None:
        parts.append(("evictions", cache.evictions))
    lines: list[Line] = [section("LOOKUPS", width, "an eviction throws out what may be asked for again")]
    for name, number in parts:
        head = (Cell(fit(f"  {name}", 12), "label"), Cell(fit(count(number), 10, "right"), "bright"))
        share = Cell(fit(percent(number / total), 8, "right"), "dim")
        lines.append((*head, share, Cell("  "), Cell(bar(number / total, max(width - 36, 6)), "chart")))
    return lines


def _requests(summary: Summary, name: str, width: int) -> list[Row]:
    rows: list[Row] = []
    for slow in summary.slowest:
        spans = [span for span in slow.request.spans if span.kind == "cache" and span.name == name]
        if spans and len(rows) < 8:
            line = (
                Cell(f"   {clock(slow.request.ended_at / 1e9)}  ", "dim"),
                Cell(clean(f"{slow.request.method} {slow.request.path}"), "name"),
                Cell(f"  {ms(sum(span.ns for span in spans) / 1e6)} of {ms(slow.request.total_ns / 1e6)}"),
            )
            rows.append(Row(fit_line(line, width), Subject("request", request_key(slow))))
    return [Row(section("SLOW REQUESTS THAT ASKED IT", width)), *rows] if rows else []
