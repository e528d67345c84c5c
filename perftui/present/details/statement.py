"""One statement shape: the whole text, what it costs, who runs it and from where."""

from __future__ import annotations

from perftui.model.outside_summary import QuerySummary
from perftui.model.plans import advice_on
from perftui.model.stories import runs
from perftui.model.summary import Summary
from perftui.present.picture import Picture
from perftui.present.text.blocks import pairs, sampled, section
from perftui.present.text.cells import BLANK, Cell, Style, clean, fit_line, fit_middle
from perftui.present.text.evidence import Row, Subject, request_key, rows_of, stacked, verdict_rows
from perftui.present.text.quantile import quantile, quantile_cell
from perftui.present.text.statements import whole, wrapped
from perftui.present.text.units import clock, count, ms, percent


def statement_rows(picture: Picture, fingerprint: str, width: int, height: int) -> list[Row]:
    """Return everything known of one statement."""
    queries = picture.summary.asked
    query = next((each for each in queries if each.fingerprint == fingerprint), None)
    if query is None:
        return rows_of([BLANK, (Cell("  it was not run in this window", "dim"),)])
    found = [each for each in picture.findings if each.statement == fingerprint]
    return stacked(
        [
            rows_of(_figures(query, sum(each.total_ms for each in queries), width)),
            verdict_rows(found, width, own=Subject("statement", fingerprint)),
            _text(query, width),
            _plan(picture.summary, query, width),
            _routes(picture.summary, query, width),
            _requests(picture.summary, query, width),
        ],
        height,
    )


def _figures(query: QuerySummary, whole_ms: float, width: int) -> list[tuple[Cell, ...]]:
    about = "" if query.followed in {None, query.count} else "about "
    items: list[tuple[str, str, Style]] = [
        ("n", count(query.count), "bright"),
        ("p50", ms(query.latency.p50_ms), "text"),
        ("p95", *quantile_cell(query.latency, "p95", "bright")),
        ("p99", *quantile_cell(query.latency, "p99")),
        ("max", ms(query.latency.max_ms), "text"),
        ("total", ms(query.total_ms), "bright"),
        ("of all SQL", percent(query.total_ms / whole_ms if whole_ms else None), "text"),
        ("errors", count(query.errors), "medium" if query.errors else "text"),
        ("slow", count(query.slow), "medium" if query.slow else "text"),
        ("same binds again", f"{about}{count(query.same_binds)}", "text"),
        *sampled(query.count, query.followed),
    ]
    if query.database:
        items.append(("database", clean(query.database), "text"))
    return pairs(items, width)


def _text(query: QuerySummary, width: int) -> list[Row]:
    several = "several places, none of which has most of its time"
    site = clean(query.call_site) if query.call_site else several if query.scattered else "not seen"
    text = (
        whole(query.statement, width - 4)
        if query.statement
        else ["its text is not told (PERFTUI_SQL_TEXT=off)"]
    )
    return rows_of(
        [
            section("STATEMENT", width, "without its values"),
            *((Cell("  "), Cell(line, "source")) for line in text),
            fit_line(
                (
                    Cell("  called from  ", "label"),
                    Cell(fit_middle(site, min(len(site), width - 16)), "place"),
                ),
                width,
            ),
        ]
    )


def _plan(summary: Summary, query: QuerySummary, width: int) -> list[Row]:
    """Return what an agent has found of the plan of its own accord."""
    plan = summary.plans.get(query.fingerprint)
    if plan is None:
        return []
    rows = rows_of([section("PLAN", width, "e asks again, and shows all of it")])
    said = [each.sentence for each in plan.verdicts] or ["nothing to say against it"]
    if plan.changed:
        said.append(f"it has changed: {plan.changed}")
    advice = advice_on(plan.missing, plan.verdicts, plan.kind)
    for line in (*(clean(each) for each in said), f"→ {clean(advice)}"):
        rows += rows_of([fit_line((Cell("  "), Cell(text)), width) for text in wrapped(line, width - 4)])
    return rows


def _routes(summary: Summary, query: QuerySummary, width: int) -> list[Row]:
    if not query.routes:
        return []
    rows = [Row(section("ROUTES THAT RUN IT", width, "most often first"))]
    for label in query.routes:
        route = summary.route(label)
        figures = (
            f"p95 {quantile(route.latency, 'p95')}, SQL {ms(route.sql_ms_per_request)} of a request"
            if route
            else ""
        )
        line = fit_line((Cell("   "), Cell(clean(label), "name"), Cell(f"  {figures}", "dim")), width)
        rows.append(Row(line, Subject("route", label) if route else None))
    return rows


def _requests(summary: Summary, query: QuerySummary, width: int) -> list[Row]:
    rows: list[Row] = []
    for slow in summary.slowest:
        spans = [span for span in slow.request.spans if runs(span, query)]
        if not spans or len(rows) == 8:
            continue
        span = spans[0]
        line = (
            Cell(f"   {clock(slow.request.ended_at / 1e9)}  ", "dim"),
            Cell(clean(f"{slow.request.method} {slow.request.path}"), "name"),
            Cell(f"  {ms(slow.request.total_ns / 1e6)}", "bright"),
            Cell(f", of it {count(span.count)}× {ms(span.ns / 1e6)} here", "dim"),
        )
        rows.append(Row(fit_line(line, width), Subject("request", request_key(slow))))
    return [Row(section("SLOW REQUESTS WITH IT", width)), *rows] if rows else []
