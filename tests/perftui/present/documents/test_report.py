"""What `perftui snapshot` prints for people."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from perftui.model.after import BackgroundSummary
from perftui.model.filter import parse_filter
from perftui.model.happenings import SloVerdict
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.report import WIDTH, report
from perftui.present.documents.snapshot import document
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.outside import StatementFrame
from tests.support.fake_evidence import ShopFeed
from tests.support.frames import T, dashboard_of, frame, joined, received, route, sketch, worker

A, B = worker(4121), worker(4122)

STATEMENT = (
    "SELECT " + ", ".join(f"items.column_{number}" for number in range(20)) + " FROM items WHERE id = ?"
)


def picture() -> Summary:
    routes = [route("GET /orders", [300.0] * 20), route("GET /pay", [5.0] * 18, success=16, server_error=2)]
    sent = msgspec.structs.replace(
        frame(1, T + 1, routes),
        statements=[
            StatementFrame(
                fingerprint="f", statement=STATEMENT, latency=sketch([2.0]), routes={"GET /orders": 1},
                call_site="app/crud.py:88 load_lines",
            )
        ],
        incidents=[
            Incident(kind="loop-blocked", at=T * 10**9, ns=2 * 10**9, where="app/reports.py:42 build")
        ],
    )  # fmt: skip
    return summarize(
        dashboard_of(joined(A), joined(B), received(A, sent), received(B, frame(1, T + 1))), T + 1.5
    )


def test_no_line_of_a_table_is_wider_than_asked_for() -> None:
    """A statement of five hundred characters leaves the columns beside it where they can be read."""
    for width in (90, WIDTH, 140):
        lines = report(picture(), width=width)
        assert max(map(len, lines[2:])) <= width
    (query,) = [line for line in report(picture()) if "SELECT items.col" in line]
    assert query.endswith("WHERE id = ?  app/crud.py:88 load_lines")


def test_findings_and_events_are_told() -> None:
    """What is wrong comes right below the figures, what happened last."""
    lines = report(picture())
    titles = [line for line in lines if line and not line.startswith(" ")][2:]
    assert titles == ["findings", "routes", "workers", "queries", "incidents", "events"]
    assert any("loop-blocked app/reports.py:42 build" in line for line in lines)
    assert any("app/reports.py:42 build held the loop of worker 4121 for 2.0 s" in line for line in lines)


def test_a_target_says_which_routes_it_is_not_held_against() -> None:
    """Its value is not the one that the line above has for all of them."""
    every, own = (
        SloVerdict("p95<200ms", "all", 171.0, True),
        SloVerdict("p95<400ms", "GET /slip", 270.0, True),
    )
    lines = report(replace(picture(), slo=(every, own)))
    told = [line.strip().split("  ")[0] for line in lines[lines.index("targets") + 2 :][:2]]
    assert told == ["all but GET /slip", "GET /slip"]


def test_an_incident_is_told_with_its_line_and_its_whole_route() -> None:
    """At the width of a log, too: the day stands above, and a lambda's name leads nowhere."""
    summary = picture()
    (row,) = summary.incidents
    label = "GET /customers/{customer_id}/all"
    where = "app/reporting/monthly.py:412 rolling.<locals>.<lambda>"
    held = msgspec.structs.replace(row.incident, where=where, route=label)
    lines = report(replace(summary, incidents=(replace(row, incident=held),)))
    told = lines[lines.index("incidents") + 2].split("  ")
    assert [each.strip() for each in told[-2:]] == ["monthly.py:412 rolling", label]


def test_a_filter_chooses_rows_and_leaves_totals_and_findings_as_they_are() -> None:
    """The text says how many of how many; a table none of whose rows is wanted says so."""
    summary, wanted = picture(), parse_filter("route:/orders cpu>90%")
    lines = report(summary, wanted)
    assert lines[:2] == report(summary)[:2]
    assert "routes, 1 of 2: route:/orders cpu>90%" in lines
    assert not any(
        "GET /pay" in line for line in lines[lines.index("routes, 1 of 2: route:/orders cpu>90%") :]
    )
    index = next(place for place, line in enumerate(lines) if line.startswith("workers, 0 of 2"))
    assert lines[index + 1] == "  none of them is wanted"


def test_the_document_is_filtered_likewise() -> None:
    """Its lists of rows are, its totals and findings aren't; it says by what."""
    summary = picture()
    whole, part = document(summary), document(summary, parse_filter("route:/orders"))
    assert [row["route"] for row in part["routes"]] == ["GET /orders"]
    assert part["filter"] == "route:/orders"
    assert "filter" not in whole
    for same in ("totals", "findings", "workers", "queries"):
        assert part[same] == whole[same]


def test_text_and_document_tell_of_the_same_rows() -> None:
    """Of other services, of what runs after responses and of connections too."""
    summary = ShopFeed().summary(60.0)
    lines, told = report(summary, width=200), document(summary)
    functions = [(row["name"].removeprefix("app/"), row["count"]) for row in told["background"]]
    sections = {
        "upstreams": [(row["host"], row["count"]) for row in told["upstreams"]],
        "after the response": functions,
        "connections": [(row["route"], row["open"]) for row in told["channels"]],
    }
    for title, rows in sections.items():
        begin = lines.index(title) + 2
        assert rows
        for line, (name, figure) in zip(lines[begin:], rows, strict=False):
            assert name in line
            assert f" {figure} " in line
        assert not lines[begin + len(rows)]


def test_of_what_runs_after_responses_only_what_there_is_takes_a_column() -> None:
    """Nothing runs now and nothing was held up: the functions have the room."""
    rows = [
        BackgroundSummary(name=f"app/mail.py:{line} send", kind="background", count=3, total_ms=30.0 - line)
        for line in range(17)
    ]
    lines = report(replace(ShopFeed().summary(60.0), background=tuple(rows)))
    begin = lines.index("after the response")
    assert lines[begin + 1].split() == ["function", "by", "count", "errors", "p95", "total", "route"]
    assert "mail.py:0 send" in lines[begin + 2]
    assert lines[begin + 17] == "  … and 2 functions more: see --json"


def test_a_route_whose_messages_take_long_comes_before_one_that_only_sends() -> None:
    """A stream of thousands of parts is no work; a handler is."""
    chat, prices = ShopFeed().summary(60.0).channels
    busy = replace(prices, sent=100_000, sent_per_s=1_666.0)
    lines = report(replace(ShopFeed().summary(60.0), channels=(busy, chat)))
    begin = lines.index("connections")
    assert lines[begin + 2].startswith("  WS /chat/{room}")
    assert lines[begin + 3].startswith("  GET /prices")
