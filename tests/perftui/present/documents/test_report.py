"""What `perftui snapshot` prints for people."""

from __future__ import annotations

import msgspec

from perftui.model.filter import parse_filter
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.report import WIDTH, report
from perftui.present.documents.snapshot import document
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.outside import StatementFrame
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
