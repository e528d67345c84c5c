"""One route: what is wrong with it, where its time goes, its statements and its slowest requests first."""

from __future__ import annotations

from perftui.model.outside_summary import QuerySummary
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.present.charts.drawing import bar
from perftui.present.charts.heat import heat_lines
from perftui.present.charts.latency import latencies
from perftui.present.details.background import after_response
from perftui.present.details.route_blocks import endings, exceptions, figures, over_time, paths, spent
from perftui.present.picture import Picture
from perftui.present.tables.requests import mostly
from perftui.present.text.blocks import section
from perftui.present.text.cells import BLANK, Cell, Line, clean, fit, fit_line, fit_middle
from perftui.present.text.delta import since_lines
from perftui.present.text.evidence import (
    Row,
    Subject,
    flight_keys,
    request_key,
    rows_of,
    short_place,
    stacked,
    verdict_rows,
)
from perftui.present.text.quantile import quantile_cell, to_the_right
from perftui.present.text.signs import missed
from perftui.present.text.statements import terse
from perftui.present.text.units import NO_DATA, age, clock, count, ms, percent, rate

MOST_STATEMENTS = 6
MOST_SLOW = 5


def route_rows(picture: Picture, label: str, width: int, height: int) -> list[Row]:
    """Return everything known of one route, the most telling first."""
    summary = picture.summary
    route = summary.route(label)
    if route is None:
        return rows_of([BLANK, (Cell(f"  no request in the last {age(summary.window_s)}", "dim"),)])
    own = Subject("route", label)
    chart_height = 4 if height < 30 else 6 if height < 45 else 10
    found = [each for each in picture.findings if each.route == label and each.kind != "slo-breach"]
    return stacked(
        [
            rows_of(figures(route, missed(summary, label), width) + since(picture, route, width)),
            verdict_rows(found[:3], width, own=own, advice=height >= 30 or len(found) == 1),
            rows_of(exceptions(route, width)),
            rows_of(paths(route, width, 6 if height < 30 else 12)),
            statements(summary, route, width),
            rows_of(spent(summary, route, width)),
            after_response(summary, label, width),
            slowest(summary, label, width),
            in_flight(summary, label, width),
            rows_of(latencies(route, width, chart_height)),
            rows_of(over_time(summary, route, width, 1 if height < 30 else 3)),
            rows_of(heat_lines(route, width, 6 if height < 30 else 12)),
            rows_of(endings(route, width)),
            shares(route, width),
        ],
        height,
    )


def since(picture: Picture, route: RouteSummary, width: int) -> list[Line]:
    """Return how its figures stand against the mark, if there is one."""
    change = picture.change(route)
    return since_lines(change, picture.mark, width) if change and picture.mark else []


def statements(summary: Summary, route: RouteSummary, width: int) -> list[Row]:
    """Return what the route asks of the database: how often per request, and from where."""
    queries = [query for query in summary.asked if route.route in query.routes]
    if not queries:
        return []
    site = max(min(width * 3 // 10, 44), 20)
    text = max(width - site - 31, 10)
    heading = f" {'STATEMENTS':<{text + 1}}{'per req':>9}{'p95':>8}{'total':>8}  call site"
    rows = [Row((Cell(fit(heading, width), "section"),))]
    whole_ms = route.total_ms or 1.0
    for query in queries[:MOST_STATEMENTS]:
        place = short_place(query.call_site or NO_DATA)
        line = (
            Cell("  "),
            Cell(fit(terse(query.statement, text) or query.fingerprint, text), "name"),
            Cell(fit(_per_request(query, route), 9, "right"), "bright"),
            to_the_right(quantile_cell(query.latency, "p95"), 8),
            Cell(fit(percent(_ms_here(query, route) / whole_ms), 8, "right")),
            Cell("  "),
            Cell(fit_middle(place, site), "place"),
        )
        rows.append(Row(fit_line(line, width), Subject("statement", query.fingerprint)))
    if len(queries) > MOST_STATEMENTS:
        rows.append(
            Row((Cell(f"  + {len(queries) - MOST_STATEMENTS} more: 4, then / {route.route}", "dim"),))
        )
    return rows


def _executions(query: QuerySummary, route: RouteSummary) -> int | None:
    """Return how often a route ran a statement, None if that isn't known."""
    if len(query.routes) == 1:
        return query.count
    return query.executions.get(route.route)


def _per_request(query: QuerySummary, route: RouteSummary) -> str:
    executions = _executions(query, route)
    return NO_DATA if executions is None or not route.requests else rate(executions / route.requests)


def _ms_here(query: QuerySummary, route: RouteSummary) -> float:
    """Return what a statement cost a route, as if each of its executions took the same."""
    executions = _executions(query, route)
    return query.total_ms * (executions or 0) / max(query.count, 1)


def slowest(summary: Summary, label: str, width: int) -> list[Row]:
    """Return the slowest requests of the route, each of which has a story."""
    found = [row for row in summary.slowest if row.request.route == label][:MOST_SLOW]
    if not found:
        return []
    heading = f" {'SLOWEST':<12}{'when':<12}{'took':>8}   {'mostly':<32}worker"
    rows = [Row((Cell(fit(heading, width), "section"),))]
    for row in found:
        status = f"  {row.request.status}" if row.request.status >= 500 else ""
        line = (
            Cell(fit(f"  #{clean(row.request.id)}", 13), "name"),
            Cell(fit(clock(row.request.ended_at / 1e9), 12), "dim"),
            Cell(fit(ms(row.request.total_ns / 1e6), 8, "right"), "bright"),
            Cell(fit(f"   {mostly(row)}", 35)),
            Cell(f"{row.pid}", "dim"),
            Cell(status, "medium"),
        )
        rows.append(Row(fit_line(line, width), Subject("request", request_key(row))))
    return rows


def in_flight(summary: Summary, label: str, width: int) -> list[Row]:
    """Return the oldest requests of the route that have not ended."""
    found = [(key, row) for key, row in flight_keys(summary).items() if row.request.route == label]
    rows = [
        Row(
            fit_line(
                (
                    Cell(fit(ms(row.request.age_ns / 1e6), 10, "right"), "bright"),
                    Cell(clean(f"  {row.request.method} {row.request.path}"), "name"),
                    Cell(clean(f"  {row.request.waiting_at or ''}"), "place"),
                ),
                width,
            ),
            Subject("flight", key),
        )
        for key, row in found[:5]
    ]
    note = f"the oldest of {count(len(found))}" if len(found) > len(rows) else "the oldest first"
    return [Row(section("IN FLIGHT", width, note)), *rows] if rows else []


def shares(route: RouteSummary, width: int) -> list[Row]:
    """Return each worker's part of the route."""
    if not route.shares:
        return []
    total = sum(share.requests for share in route.shares) or 1
    title = f" {'WORKERS':<11}{'n':>8}{'err':>8}{'p50':>8}{'p95':>8}{'p99':>8}{'share':>9}  last minute"
    rows = [Row((Cell(fit(title, width), "section"),))]
    for share in sorted(route.shares, key=lambda share: share.pid):
        errors = share.errors / share.requests if share.requests else None
        line = (
            Cell(f"  {share.pid:<10}", "name"),
            Cell(f"{count(share.requests):>8}"),
            Cell(f"{percent(errors):>8}", "medium" if share.errors else "faint"),
            Cell(f"{ms(share.latency.p50_ms):>8}"),
            to_the_right(quantile_cell(share.latency, "p95", "bright"), 8),
            to_the_right(quantile_cell(share.latency, "p99"), 8),
            Cell(f"{percent(share.requests / total):>9}  "),
            Cell(bar(share.requests / total, max(width - 66, 6)), "chart"),
        )
        rows.append(Row(line, Subject("worker", share.worker)))
    return rows
