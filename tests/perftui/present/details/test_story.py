"""The story of a slow request."""

from __future__ import annotations

from perftui.model.happenings import IncidentRow, SlowRow
from perftui.model.summary import Summary
from perftui.present.details.story import story_rows
from perftui.present.text.cells import text_of
from perftui.present.text.evidence import Row, Subject
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.requests import SlowRequest, Span
from tests.support.frames import T

MS = 1_000_000
ENDED = T * 1000 * MS


def story(*spans: Span) -> list[Row]:
    """Return that of a request of half a second, in the last 200 ms of which its route held the loop."""
    request = SlowRequest(
        id="1", route="GET /a", method="GET", path="/a", status=200, ended_at=ENDED, total_ns=500 * MS,
        spans=list(spans),
    )  # fmt: skip
    held = Incident("loop-blocked", ENDED - 200 * MS, 190 * MS, "app/a.py:7 rank.<locals>.<lambda>", "GET /a")
    summary = Summary("8000", "shop", T + 1.0, 60.0, incidents=(IncidentRow("w", 7, held),))
    return story_rows(summary, SlowRow("w", 7, request), 80, 24)


def rest(rows: list[Row]) -> Row:
    """Return the line about what lies in no span."""
    return next(row for row in rows if "the rest" in text_of(row.line))


def test_a_request_that_held_the_loop_itself_says_where() -> None:
    """And leads there: it is in none of its spans."""
    row = rest(story(Span(kind="sql", name="SELECT 1", start_ns=0, ns=300 * MS)))
    assert "a.py:7 rank held the loop" in text_of(row.line)
    assert "200ms" in text_of(row.line)
    assert row.subject == Subject("place", "app/a.py rank")
    assert "a.py:7 rank held the loop" in text_of(rest(story()).line)


def test_a_block_of_another_request_of_its_route_is_not_its_own() -> None:
    """It waited meanwhile, as its spans say."""
    row = rest(story(Span(kind="loop", name="app/a.py:7 rank", start_ns=290 * MS, ns=210 * MS)))
    assert "in no span: its own code" in text_of(row.line)
    assert row.subject is None
