"""Nothing that could move a cursor gets into the model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.model.text import MAX_ITEMS, MAX_TEXT, clean, clean_text
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.outside import StatementFrame
from perftui_agent.wire.requests import ExceptionCount, SlowRequest, Span
from tests.support.frames import T, frame, route

EVIL = "a\x1b[31mred\x1b]0;title\x07\x9b2J\u202ee\r\n\x00b"


@given(st.text(max_size=200))
def test_clean_text_is_printable_and_clean_for_good(text: str) -> None:
    """Cleaning leaves one printable line, and has nothing left to do on it."""
    once = clean_text(text)
    assert once.isprintable()
    assert clean_text(once) == once


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("GET /items/{item_id}", "GET /items/{item_id}"),
        ("naïve 東京 🛒", "naïve 東京 🛒"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]52;c;ZXZpbA==\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        ("\x9b2Jcleared", "cleared"),
        ("SELECT *\n\tFROM a", "SELECT *  FROM a"),
        ("\u202eesrever", "esrever"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
        ("x" * 3000, "x" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_text_keeps_what_can_be_read_and_loses_what_would_act(text: str, cleaned: str) -> None:
    """Escapes go as a whole, white space becomes a blank, length is bounded, letters stay."""
    assert clean_text(text) == cleaned


def test_a_clean_frame_stays_the_same_object() -> None:
    """Nearly every frame is clean, and costs no copy."""
    sent = frame(1, T + 1, [route("GET /", [1.0])])
    assert clean(sent) is sent


def test_one_dirty_row_among_many_is_found_and_no_other_is_copied() -> None:
    """In whichever field: a text, one that may be missing, the keys of a mapping, or too many of them."""
    rows = [StatementFrame(fingerprint=f"f{place}", routes={"GET /": 1}) for place in range(9)]
    rows[2] = StatementFrame(fingerprint="f2", call_site=EVIL)
    rows[4] = StatementFrame(fingerprint="f4", routes={"GET /": 1, EVIL: 2})
    rows[6] = StatementFrame(
        fingerprint="f6", routes={f"GET /{number}": 1 for number in range(MAX_ITEMS + 1)}
    )
    rows[8] = StatementFrame(fingerprint="x" * (MAX_TEXT + 1))
    sent = Frame(seq=1, ended_at=2, span_ns=3, statements=rows)
    cleaned = clean(sent).statements
    assert cleaned[2].call_site == "arede  b"
    assert cleaned[4].routes == {"GET /": 1, "arede  b": 2}
    assert len(cleaned[6].routes) == MAX_ITEMS
    assert len(cleaned[8].fingerprint) == MAX_TEXT
    assert [place for place, row in enumerate(cleaned) if row is not rows[place]] == [2, 4, 6, 8]


def test_every_string_of_a_frame_is_cleaned_however_deep() -> None:
    """Labels, exceptions, spans, stacks, keys of mappings: no place is left out."""
    dirty = Frame(
        seq=1,
        ended_at=2,
        span_ns=3,
        routes=[route(EVIL, [5.0])],
        slowest=[
            SlowRequest(
                id="1", route="r", method="GET", path=EVIL, status=200, ended_at=0, total_ns=1,
                spans=[Span(kind="sql", name=EVIL, start_ns=0, ns=1)],
            )
        ],
        incidents=[Incident(kind="loop-blocked", at=0, ns=1, where="x", stack=["ok", EVIL])],
        statements=[StatementFrame(fingerprint="f", routes={EVIL: 3})],
        probes={EVIL: EVIL},
    )  # fmt: skip
    dirty.routes[0].exceptions = [ExceptionCount(type=EVIL, place="x")]
    result = clean(dirty)
    good = "arede  b"
    assert result.routes[0].route == good
    assert result.routes[0].exceptions[0].type == good
    assert result.routes[0].latency == dirty.routes[0].latency
    assert result.slowest[0].path == good
    assert result.slowest[0].spans[0].name == good
    assert result.incidents[0].stack == ["ok", good]
    assert result.statements[0].routes == {good: 3}
    assert result.probes == {good: good}
    assert dirty.routes[0].route == EVIL


def test_lists_are_bounded() -> None:
    """A frame of a hundred thousand routes is a frame of `MAX_ITEMS`."""
    sent = frame(1, T + 1, [route(f"GET /{number}") for number in range(MAX_ITEMS + 5)])
    assert len(clean(sent).routes) == MAX_ITEMS
