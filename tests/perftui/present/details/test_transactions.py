"""Steps of transactions stand where statements stand, and lead to their own screen."""

from __future__ import annotations

from perftui.model.summarize import summarize
from perftui.present.details.statement import statement_rows
from perftui.present.details.story import story_rows
from perftui.present.picture import Picture
from perftui_agent.wire.outside import StatementFrame
from perftui_agent.wire.requests import SlowRequest, Span
from tests.support.frames import T, dashboard_of, frame, joined, received, route, sketch, worker


def test_a_commit_in_a_story_leads_to_its_own_screen() -> None:
    """There stand its figures and its line, as a statement's do."""
    who = worker(1)
    one = frame(1, T + 1, [route("POST /pay", [500.0])])
    one.transactions = [
        StatementFrame(
            fingerprint="c",
            statement="COMMIT",
            latency=sketch([480.0]),
            routes={"POST /pay": 1},
            call_site="app/pay.py:42 pay",
        )
    ]
    span = Span(kind="transaction", name="COMMIT", fingerprint="c", start_ns=1_000_000, ns=480_000_000)
    one.slowest = [
        SlowRequest(
            id="1",
            route="POST /pay",
            method="POST",
            path="/pay",
            status=200,
            ended_at=int((T + 1) * 1e9),
            total_ns=500_000_000,
            spans=[span],
        )
    ]
    summary = summarize(dashboard_of(joined(who), received(who, one)), T + 1.5)
    rows = story_rows(summary, summary.slowest[0], 100, 40)
    (row,) = [row for row in rows if row.subject is not None and row.subject.key == "c"]
    line = "".join(cell.text for cell in row.line)
    assert ("transaction" in line, "COMMIT" in line, "480ms" in line) == (True, True, True)
    screen = "\n".join(
        "".join(cell.text for cell in row.line) for row in statement_rows(Picture(summary), "c", 100, 40)
    )
    assert "app/pay.py:42 pay" in screen
    assert "POST /pay" in screen
