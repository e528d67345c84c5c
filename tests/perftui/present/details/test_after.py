"""Work after the response and connections: in the route's screen, and on screens of their own."""

from __future__ import annotations

from perftui.model.after import BackgroundSummary, ChannelSummary
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.details.background import after_response, background_rows
from perftui.present.details.channel import channel_rows
from perftui.present.details.route_blocks import spent
from perftui.present.documents.snapshot import document
from perftui.present.picture import Picture
from perftui.present.text.evidence import Row
from perftui_agent.wire.after import BackgroundFrame
from perftui_agent.wire.channels import ChannelFrame
from perftui_agent.wire.frames import Frame
from tests.support.frames import T, dashboard_of, frame, joined, received, route, sketch, worker

MS = 1_000_000


def told(*frames: Frame) -> Summary:
    """Return the picture of one worker's seconds."""
    who = worker(1)
    dashboard = dashboard_of(joined(who), *(received(who, each) for each in frames))
    return summarize(dashboard, T + len(frames) + 0.5)


def a_second(number: int = 1) -> Frame:
    """Return a second with work after the response, and with a chat."""
    second = frame(number, T + number, [route("POST /orders", [100.0] * 10)])
    second.routes[0].background_ns = 10 * 60 * MS
    second.background = [
        BackgroundFrame(
            name="app/mail.py:12 send",
            kind="background",
            route="POST /orders",
            latency=sketch([60.0] * 10),
            running=2,
            oldest_ns=900 * MS,
            threaded=10,
            held=10,
            held_ns=600 * MS,
            sql_count=30,
            sql_ns=30 * MS,
            errors=1,
            failures={"LookupError": 1},
        )
    ]
    second.channels = [
        ChannelFrame(
            route="WS /chat/{room}",
            kind="websocket",
            open=3,
            received=20,
            received_bytes=2_000,
            sent=40,
            sent_bytes=8_000,
            handling=sketch([300.0] * 20),
            news_ns=2_000 * MS,
            queued=5,
            blocked=sketch([50.0] * 4),
            blocked_ns=200 * MS,
            codes={"1006": 1},
        )
    ]
    return second


def text(rows: list[Row]) -> str:
    """Return rows as one reads them."""
    return "\n".join("".join(cell.text for cell in row.line) for row in rows)


def test_seconds_add_up_and_what_runs_is_that_of_the_last() -> None:
    """Counts of two seconds, the gauges of the second one."""
    summary = told(a_second(), a_second(2))
    (work,), (chat,) = summary.background, summary.channels
    assert (work.count, work.running, work.sql, work.held, work.failures) == (
        20,
        2,
        60,
        20,
        {"LookupError": 2},
    )
    assert (chat.open, chat.received, chat.handled, chat.blocked, chat.codes) == (3, 40, 40, 8, {"1006": 2})
    assert chat.sent_per_s == 40.0


def test_a_route_tells_what_holds_its_responses_open_and_what_goes_on_after_them() -> None:
    """A bar of its own among where the time goes, and a row that leads to the function's screen."""
    summary = told(a_second())
    row = summary.route("POST /orders")
    assert row is not None
    bars = [text([Row(line)]).split() for line in spent(summary, row, 100)]
    assert [bar[:2] for bar in bars if "hold" in bar] == [["background", "60ms"]]
    (heading, work) = after_response(summary, "POST /orders", 80)
    assert "AFTER THE RESPONSE" in text([heading])
    assert work.subject is not None
    assert (work.subject.kind, work.subject.key) == ("background", summary.background[0].key)


def test_a_function_tells_what_it_holds_up_and_what_it_asks() -> None:
    """The response, a thread of the pool, the database."""
    summary = told(a_second())
    shown = text(background_rows(Picture(summary), summary.background[0].key, 80, 40))
    for words in (
        "holds the response open",
        "takes a thread of the pool",
        "30 in",
        "LookupError",
        "POST /orders",
    ):
        assert words in shown


def test_a_chat_tells_where_a_message_spends_its_time() -> None:
    """Its own, the loop's, and what others' news take; and how it is read and left."""
    summary = told(a_second())
    shown = text(channel_rows(Picture(summary), summary.channels[0].key, 80, 40))
    for words in ("WHERE AN AVERAGE MESSAGE SPENDS ITS 400ms", "its own", "news", "code 1006", "held up"):
        assert words in shown


def test_what_is_no_more_is_said_to_be_none() -> None:
    """A row that has left the window."""
    picture = Picture(told(frame(1, T + 1, [])))
    assert "has not run" in text(background_rows(picture, "x", 80, 24))
    assert "nothing went over it" in text(channel_rows(picture, "x", 80, 24))


def test_the_document_has_the_keys_that_are_promised() -> None:
    """Of work, those of the public interface; of connections, rates and times."""
    whole = document(told(a_second()))
    (work,), (chat,) = whole["background"], whole["channels"]
    assert {"name", "kind", "running", "count", "p95_ms", "errors", "route"} <= set(work)
    assert (work["name"], work["kind"], work["count"], work["running"]) == (
        "app/mail.py:12 send",
        "background",
        10,
        2,
    )
    assert (chat["route"], chat["received_per_s"], chat["sent_bytes_per_s"]) == (
        "WS /chat/{room}",
        20.0,
        8_000.0,
    )
    assert [each["subject"] for each in whole["findings"] if each["kind"] == "slow-messages"] == [
        "WS /chat/{room}"
    ]


def test_rows_are_told_apart() -> None:
    """One function for two routes is two rows, one route's streams and sockets too."""
    assert BackgroundSummary("f", "task", "GET /a").key != BackgroundSummary("f", "task", "GET /b").key
    assert ChannelSummary("GET /a", "events").key != ChannelSummary("GET /a", "stream").key
