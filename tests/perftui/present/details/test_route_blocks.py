"""The blocks of a route's screen, as plain text."""

from __future__ import annotations

from dataclasses import replace

from perftui.model.route_summary import RouteSummary
from perftui.model.summarize import summarize
from perftui.present.details.route_blocks import paths, spent
from perftui.present.documents.snapshot import document
from perftui.present.text.cells import text_of
from perftui_agent.wire.requests import PathFrame, RouteFrame
from tests.perftui.findings.pictures import a_route, picture
from tests.support.frames import T, dashboard_of, frame, joined, received, route, sketch, worker

A, B = worker(1), worker(2)


def catch_all(*told: PathFrame) -> RouteFrame:
    row = route("GET /{path}", [1.0] * max(1, sum(each.requests for each in told)))
    row.paths = list(told)
    return row


def path(name: str, latencies_ms: list[float], errors: int = 0) -> PathFrame:
    return PathFrame(path=name, requests=len(latencies_ms), errors=errors, latency=sketch(latencies_ms))


def told_by(*frames: tuple[PathFrame, ...]) -> RouteSummary:
    """Return the route of two workers that tell of these paths, second by second."""
    events = [
        received(identity, frame(second, T + second, [catch_all(*told)]))
        for second, told in enumerate(frames, 1)
        for identity in (A, B)
    ]
    summary = summarize(dashboard_of(joined(A), joined(B), *events), T + len(frames) + 0.5)
    (row,) = summary.routes
    (document_row,) = document(summary)["routes"]
    assert [each["path"] for each in document_row["paths"]] == [each.path for each in row.paths]
    return row


def text(row: RouteSummary, width: int = 76, most: int = 6) -> list[str]:
    return ["".join(cell.text for cell in line).rstrip() for line in paths(row, width, most)]


def test_paths_below_a_route_add_up_over_workers_and_time() -> None:
    """What cost most comes first, and percentiles are those of all requests together."""
    row = told_by(
        (path("/health", [1.0] * 3), path("/api/{…}/runs", [100.0] * 2, errors=1)),
        (path("/api/{…}/runs", [300.0] * 2),),
    )
    assert [(each.path, each.requests, each.errors) for each in row.paths] == [
        ("/api/{…}/runs", 8, 2),
        ("/health", 6, 0),
    ]
    lines = text(row)
    assert "PATHS BELOW IT" in lines[0]
    assert "/api/{…}/runs" in lines[1]
    assert "25%" in lines[1]


def test_a_route_that_takes_one_path_has_no_such_block() -> None:
    """Nor has its document anything to tell."""
    assert text(told_by(())) == []


def test_of_many_paths_the_costliest_are_told_and_none_is_lost() -> None:
    """Seconds with other paths make no longer list, in the model and on the screen."""
    row = told_by(
        *[tuple(path(f"/{second}{a}", [float(ord(a))]) for a in "abcdefghijklmnopqrst") for second in "vwxyz"]
    )
    assert len(row.paths) == 51
    assert sum(each.requests for each in row.paths) == 200
    assert row.paths[-1].path == "(other)"
    assert text(row)[-1] == "  + 45 more"


def test_what_transactions_cost_is_a_bar_beside_the_statements() -> None:
    """Together they are the database's time, and nothing is counted in both."""
    one = route("GET /", [50.0])
    one.sql_count, one.sql_ns, one.transaction_ns = 2, 4_000_000, 30_000_000
    summary = summarize(dashboard_of(joined(A), received(A, frame(1, T + 1, [one]))), T + 1.5)
    lines = ["".join(cell.text for cell in line) for line in spent(summary, summary.routes[0], 80)]
    bars = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert (bars["SQL"], bars["commit"], bars["the"]) == ("4.0ms", "30ms", "rest")
    one.transaction_ns = 0
    summary = summarize(dashboard_of(joined(A), received(A, frame(1, T + 1, [one]))), T + 1.5)
    assert not any("commit" in cell.text for line in spent(summary, summary.routes[0], 80) for cell in line)


def test_what_is_to_be_known_of_a_bar_leaves_room_for_it() -> None:
    """However much there is to say."""
    row = a_route("GET /quote", [100.0] * 30, http_per_request=1.0, http_ms_per_request=90.0)
    row = replace(row, http_held_ms_per_request=1.1, sql_per_request=2.0, sql_ms_per_request=1.0)
    for width in (64, 80, 120):
        lines = [text_of(line) for line in spent(picture(routes=[row]), row, width)]
        assert max(map(len, lines)) <= width
        (calls,) = [line for line in lines if line.startswith("  HTTP")]
        assert calls.count("━") >= 14
    assert calls.rstrip().endswith("1.0 calls, and 1.1ms unread here")
