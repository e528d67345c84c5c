"""The blocks of a route's screen: its figures, where its time goes, how its requests end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from perftui.model.measures import Queued
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.model.waiting import not_asked
from perftui.present.charts.drawing import Axis, area, bar, round_up
from perftui.present.text.blocks import pairs, sampled, section
from perftui.present.text.cells import Cell, Line, Style, clean, fit, fit_line
from perftui.present.text.quantile import marked_cell, quantile_cell, to_the_right
from perftui.present.text.units import count, ms, percent, rate, size

_WITH_NOTES = 64
"""From this width on a bar leaves room for what to know about it."""

_LEAST_BAR = 16

Part: TypeAlias = tuple[str, float | None, str]
"""Where an average request may spend its time: a name, milliseconds if they were measured, what to know."""


def parts(route: RouteSummary) -> list[Part]:
    """Return where an average request of a route spends its time, in the order in which it comes by."""
    per_request = route.sql_per_request
    statements = f"{rate(per_request)} statements" if per_request else ""
    if statements and route.lock_ms_per_request is None:
        statements += ", waits for locks in it"
    calls = f"{rate(route.http_per_request)} calls" if route.http_per_request else ""
    if held_ms := route.http_held_ms_per_request:
        calls += f", and {ms(held_ms)} unread here"
    return [
        ("queued", route.queued.ms_per_request, "waits in the kernel" if route.queued.ms_per_request else ""),
        ("SQL", route.statement_ms_per_request, statements),
        # Every request that reads has one that takes nothing.
        ("commit", route.commit_ms_per_request or None, ""),
        # Most never do; what was over before anybody looked is in the SQL.
        ("DB locks", route.lock_ms_per_request or None, "waits for somebody else's; estimated"),
        ("pool wait", route.pool_wait_ms_per_request, ""),
        ("thread wait", route.threadpool_wait_ms_per_request, ""),
        ("loop wait", route.loop_wait_ms_per_request, ""),
        # Most have none, or are over when it begins.
        ("background", route.background_ms_per_request or None, "tasks that hold the response open"),
        ("cache", route.cache_ms_per_request, ""),
        # Most routes call nobody.
        ("HTTP", route.http_ms_per_request or None, calls),
        ("serialize", route.serialize_ms_per_request, ""),
    ]


def figures(route: RouteSummary, misses: frozenset[str], width: int) -> list[Line]:
    """Return the route's figures, side by side."""
    latency = route.latency
    items = [
        (name, text + (" ▲" if name in misses else ""), style)
        for name in ("p50", "p95", "p99")
        for text, style in [quantile_cell(latency, name, "high" if name in misses else "bright")]
    ]
    items += [
        *queued(route.queued),
        ("max", ms(latency.max_ms), "text"),
        ("rps", rate(route.rps), "text"),
        ("err", percent(route.error_rate), "medium" if route.errors else "text"),
        ("n", count(route.requests), "text"),
    ]
    if route.ttfb_p95_ms is not None:
        items.append(("first byte p95", *marked_cell(route.ttfb_p95_ms, route.first_bytes, "p95")))
    if route.background_p95_ms is not None:
        items.append(("background p95", *marked_cell(route.background_p95_ms, route.backgrounds, "p95")))
    if route.bytes_p50 is not None:
        items.append(("size p50", size(route.bytes_p50), "text"))
        items.append(("p95", *marked_cell(route.bytes_p95, route.bodies, "p95", write=size)))
        if route.bodies:
            items.append(("compressed", percent(route.compressed / route.bodies), "text"))
    if route.sql_per_request is not None:
        items.append(("statements", f"{rate(route.sql_per_request)} per request", "text"))
    if route.streaming:
        items.append(("streaming", "yes", "text"))
    items += sampled(route.requests, route.followed)
    return [*pairs(items, width), *_waits_on_purpose(route, width)]


def _waits_on_purpose(route: RouteSummary, width: int) -> list[Line]:
    """Return that its latencies are in nobody else's, if it is a long poll, and how that is known."""
    if not route.long_poll:
        return []
    why = "as the app says" if route.long_poll == "declared" else "as is seen: each ends at its time-out"
    said = f"  waits on purpose, {why}; left out of the latencies of the service and of its workers"
    return [fit_line((Cell(said, "dim"),), width)]


def queued(before: Queued) -> list[tuple[str, str, Style]]:
    """Return how long requests waited before the app, where that is known."""
    if before.p95_ms is None:
        return []
    return [("of it queued p95", *marked_cell(before.p95_ms, before.known, "p95"))]


def spent(summary: Summary, route: RouteSummary, width: int) -> list[Line]:
    """Return where an average request spends its time, part by part; they may overlap."""
    known = [(name, value, note) for name, value, note in parts(route) if value is not None]
    if not known or not route.requests:
        return []
    mean = route.total_ms / max(route.latency.count, 1)
    known.append(("the rest", max(mean - sum(value for _, value, _ in known), 0.0), ""))
    note = max((len(note) for *_, note in known), default=0) if width >= _WITH_NOTES else 0
    note = min(note, width - 28 - _LEAST_BAR)
    room = max(width - 26 - (note + 2 if note else 0), 10)
    lines: list[Line] = [section(f"WHERE AN AVERAGE REQUEST SPENDS ITS {ms(mean)}", width)]
    for name, value, why in known:
        label = (Cell(fit(f"  {name}", 14), "label"), Cell(fit(ms(value), 8, "right"), "bright"))
        drawn = Cell(fit(bar(value / mean if mean else 0.0, room), room), "chart")
        lines.append((*label, Cell("  "), drawn, Cell(f"  {fit(why, note)}" if note and why else "", "dim")))
    if route.queued.ms_per_request is None:
        lines += unknown_queue(summary, width)
    return lines


def paths(route: RouteSummary, width: int, most: int) -> list[Line]:
    """Return what was asked for below a route that takes any path, what cost most first."""
    if not route.paths:
        return []
    room = max(width - 42, 10)
    heading = f" {'PATHS BELOW IT':<{room + 1}}{'n':>8}{'err':>8}{'p95':>8}{'total':>8}"
    lines: list[Line] = [(Cell(fit(heading, width), "section"),)]
    whole_ms = route.total_ms or 1.0
    for row in route.paths[:most]:
        errors = row.errors / row.requests if row.requests else None
        lines.append(
            (
                Cell("  "),
                Cell(fit(clean(row.path), room), "name"),
                Cell(f"{count(row.requests):>8}"),
                Cell(f"{percent(errors):>8}", "medium" if row.errors else "faint"),
                to_the_right(quantile_cell(row.latency, "p95", "bright"), 8),
                Cell(f"{percent(row.total_ms / whole_ms):>8}"),
            )
        )
    if len(route.paths) > most:
        lines.append((Cell(f"  + {len(route.paths) - most} more", "dim"),))
    return lines


def unknown_queue(summary: Summary, width: int) -> list[Line]:
    """Return why nobody knows how long requests waited before the app."""
    why = ", ".join(sorted(clean(state) for state in not_asked(summary.workers)))
    return (
        [fit_line((Cell(fit("  queued", 14), "label"), Cell(f"  not known: {why}", "dim")), width)]
        if why
        else []
    )


def over_time(summary: Summary, route: RouteSummary, width: int, height: int) -> list[Line]:
    """Return p95 over time."""
    room = width - 18
    axis = Axis.over([point.at for point in summary.points], summary.window_s, room)
    columns = axis.highest(route.trend)
    known = [value for value in columns if value is not None]
    if not known:
        return []
    peak = max((*known, route.latency.p95_ms or 0.0))
    drawing = area(columns, height, round_up(peak))
    p95 = to_the_right(quantile_cell(route.latency, "p95", "bright"), 8)
    labels = [(Cell(fit("  p95", 6), "label"), p95)]
    labels += [(Cell(fit(f"peak {ms(peak)}", 14, "right"), "faint"), Cell(""))]
    labels += [(Cell(" " * 14), Cell(""))] * height
    return [(*label, Cell("  "), Cell(text, "chart")) for label, text in zip(labels, drawing, strict=False)]


def endings(route: RouteSummary, width: int) -> list[Line]:
    """Return how the requests ended."""
    total = sum(route.status.values())
    items = []
    for name, number in route.status.items():
        if number or name in {"2xx", "5xx"}:
            style = (
                {"5xx": "medium", "4xx": "text", "disconnected": "text"}.get(name, "text")
                if number
                else "faint"
            )
            share = f" {percent(number / total)}" if total and number else ""
            items.append((name, f"{count(number)}{share}", style))
    return [section("ENDED AS", width), *pairs(items, width)]


def exceptions(route: RouteSummary, width: int) -> list[Line]:
    """Return the unhandled exceptions, most frequent first."""
    if not route.exceptions:
        return []
    return [section("UNHANDLED EXCEPTIONS", width), *_exception_lines(route, width)]


def _exception_lines(route: RouteSummary, width: int) -> Iterator[Line]:
    for exception in route.exceptions:
        yield (
            Cell("  △ ", "medium"),
            Cell(fit(f"{count(exception.count)}×", 7, "right")),
            Cell("  "),
            Cell(fit(clean(exception.type), 28), "bright"),
            Cell(" "),
            Cell(fit(clean(exception.place) + ", without a 5xx" * exception.answered, max(width - 44, 8))),
        )
