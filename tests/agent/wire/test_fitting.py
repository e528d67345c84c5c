"""Frames have a bound in bytes, well below that of messages and of the black box."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns

import pytest

from perftui.model.dashboard import Dashboard
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui_agent.blackbox.box import BlackBox
from perftui_agent.records import RequestRecord, StatementRecord
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.fitting import MAX_FRAME_BYTES, SHORT_CHARACTERS, fitted
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, Frame
from perftui_agent.wire.incidents import Evidence, Incident
from perftui_agent.wire.outside import CacheFrame, StatementFrame
from perftui_agent.wire.requests import SlowRequest, Span
from tests.support.frames import T, joined, received, route, sketch, worker
from tests.support.requests import begin, end

SECOND_NS = 1_000_000_000
MS = 1_000_000
STATEMENTS = 60
LETTERS = "ชื่อคอลัมน์"
"""Three bytes each in UTF-8."""


def runs(window: Window, request: RequestRecord, text: str) -> None:
    now = perf_counter_ns()
    known = window.known_texts.get(hash(text))
    record = StatementRecord(request, "sql", "", now, now + MS, known=known)
    if known is None:
        record.text, record.text_hash = text, hash(text)
    window.put(record)


def wide(name: str) -> str:
    """Return a statement of eighty columns."""
    return f"SELECT {', '.join(f'{LETTERS}_{number}' for number in range(80))} FROM {name} WHERE id = ?"


def sent_of(frame: Frame, most_bytes: int = MAX_FRAME_BYTES) -> Frame:
    """Return what a client gets of a frame."""
    sent = decode_from_agent(fitted(frame, most_bytes))
    assert isinstance(sent, Frame)
    assert len(encode(sent)) <= most_bytes
    return sent


@pytest.fixture
def large() -> Frame:
    """A second in which each of 500 routes ran sixty statements of eighty columns."""
    window = Window()
    window.take()
    texts = [wide(f"t{number}x") for number in range(STATEMENTS)]
    for number in range(500):
        request = begin(window)
        for text in texts:
            runs(window, request, text)
        end(request, f"GET /r{number}/{{item_id}}", (number + 1) * MS)
        window.find_ended()
        while window.fold_pending(10_000):
            pass
    return window.close(seq=1, ended_at_ns=T * SECOND_NS, span_ns=SECOND_NS)


def test_a_text_is_in_a_frame_once(large: Frame) -> None:
    """Not once for each story that has it."""
    encoded = encode(large)
    assert sum(len(slow.spans) for slow in large.slowest) > 500
    assert encoded.count(b"FROM t7x WHERE") <= 1
    assert len(encoded) < MAX_MESSAGE_BYTES


def test_frames_stay_below_their_bound_and_no_count_is_lost(large: Frame) -> None:
    """However wide the statements are: texts are cut first, and that is counted."""
    sent = sent_of(large)
    assert MAX_FRAME_BYTES < MAX_MESSAGE_BYTES // 4
    assert sum(each.status.total() for each in sent.routes) == 500
    assert sum(each.latency.count for each in sent.statements) == 500 * STATEMENTS
    assert sum(sum(each.routes.values()) for each in sent.statements) == 500 * STATEMENTS
    assert sent.agent.bounded["texts"] > 0


def test_a_story_has_whole_statements_again(large: Frame) -> None:
    """In the client each span has the text that the frame has once."""
    dashboard = Dashboard("shop")
    for event in (joined(worker(1)), received(worker(1), large)):
        dashboard = merge(dashboard, event)
    summary = summarize(dashboard, T + 0.5)
    (query,) = [query for query in summary.queries if "FROM t7x" in query.statement]
    spans = [span for row in summary.slowest for span in row.request.spans]
    assert len(query.statement) > 800
    assert {span.name for span in spans if span.fingerprint == query.fingerprint} == {query.statement}


def test_a_statement_of_an_earlier_second_has_its_text_in_the_story() -> None:
    """A request of a minute ran it before the frame that tells of it."""
    window = Window()
    window.take()
    request = begin(window, perf_counter_ns() - 60 * SECOND_NS)
    text = f"SELECT {', '.join(f'column_{number}' for number in range(20))} FROM books"
    runs(window, request, text)
    window.fold_pending()
    window.close(seq=1, ended_at_ns=1, span_ns=SECOND_NS)
    end(request, "GET /long")
    window.find_ended()
    window.fold_pending()
    frame = window.close(seq=2, ended_at_ns=T * SECOND_NS, span_ns=SECOND_NS)
    ((span,),) = [slow.spans for slow in frame.slowest]
    assert len(span.name) == SHORT_CHARACTERS
    dashboard = Dashboard("shop")
    for event in (joined(worker(1)), received(worker(1), frame)):
        dashboard = merge(dashboard, event)
    ((whole,),) = [row.request.spans for row in summarize(dashboard, T + 0.5).slowest]
    assert whole.name == text


def test_large_frames_are_kept_in_a_small_box(large: Frame, tmp_path: Path) -> None:
    """Of a box of half a megabyte each half has room for several."""
    box = BlackBox(tmp_path / "box", hello=b"hello", size_bytes=512 * 1024)
    encoded = encode(sent_of(large, box.frame_bytes))
    assert len(encoded) <= 64 * 1024
    for second in range(12):
        sent = decode_from_agent(encoded)
        assert isinstance(sent, Frame)
        sent.ended_at = (T + second) * SECOND_NS
        assert box.add(sent, encode(sent))
    assert len(box.history((T + 12) * SECOND_NS)) >= 3
    box.close()


def test_a_frame_of_usual_size_is_sent_as_it_is() -> None:
    """Whole texts, whatever there are of them."""
    frame = Frame(seq=1, ended_at=1, span_ns=1, routes=[route("GET /", [5.0])])
    frame.statements = [StatementFrame(fingerprint=f"{n}", statement=wide("t")[:2000]) for n in range(50)]
    assert fitted(frame) == encode(frame)
    assert frame.agent.bounded == {}


def frame_of(rng: random.Random) -> Frame:
    """Return a frame in which anything may be large."""

    def parts(name: str) -> Iterator[str]:
        for number in range(rng.choice([0, 1, 60])):
            yield f"{name}{number}" + "ü" * rng.choice([0, 10, 5_000])

    return Frame(
        seq=1,
        ended_at=1,
        span_ns=SECOND_NS,
        routes=[route(label, [1.0, 20.0]) for label in parts("GET /")],
        statements=[
            StatementFrame(
                fingerprint=f"{number}", statement=text, latency=sketch([1.0]), routes={text: 1, "GET /": 2}
            )
            for number, text in enumerate(parts("SELECT "))
        ],
        caches=[CacheFrame(name=name, kind="redis", hits=3) for name in parts("GET ")],
        slowest=[
            SlowRequest(
                id="1",
                route="GET /",
                method="GET",
                path=path,
                status=200,
                ended_at=1,
                total_ns=1,
                spans=[Span(kind="loop", name=path, start_ns=0, ns=1)] * 20,
            )
            for path in parts("/")
        ],
        incidents=[
            Incident(kind="loop-blocked", at=1, ns=1, where=place, stack=[place] * 20)
            for place in parts("app.py:")
        ],
        texts={text: text for text in parts("SELECT ")},
    )


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_large_in_a_frame_it_fits(seed: int) -> None:
    """And requests, executions and lookups are as many as before."""
    frame = frame_of(random.Random(seed))
    requests = sum(each.status.total() for each in frame.routes)
    executions = sum(each.latency.count for each in frame.statements)
    hits = sum(each.hits for each in frame.caches)
    sent = sent_of(frame, 64 * 1024)
    assert sum(each.status.total() for each in sent.routes) == requests
    assert sum(each.latency.count for each in sent.statements) == executions
    assert sum(each.hits for each in sent.caches) == hits


def test_of_too_many_routes_the_costliest_keep_their_rows() -> None:
    """The others are in `(other)`, and how many requests they had is told."""
    rows = [route(f"GET /{number}/{'x' * 200}", [float(number)]) for number in range(1, 401)]
    sent = sent_of(Frame(seq=1, ended_at=1, span_ns=SECOND_NS, routes=rows), 64 * 1024)
    told = {each.route.split("/")[1] for each in sent.routes if each.route != "(other)"}
    assert 0 < len(told) < 400
    assert told == {str(number) for number in range(401 - len(told), 401)}
    (other,) = [each for each in sent.routes if each.route == "(other)"]
    assert other.status.success == sent.agent.bounded["routes"] == 400 - len(told)


def test_of_evidence_what_was_taken_goes_first_and_what_it_says_stays() -> None:
    """A whole dump may be large; its verdict, its line and its stack are not."""
    taken = Evidence(id="a", kind="worker-silent", at=1, where="app.py:3 f", result=b"x" * 400_000)
    sent = sent_of(Frame(seq=1, ended_at=T * SECOND_NS, span_ns=SECOND_NS, evidence=[taken] * 4))
    assert [(each.where, each.result) for each in sent.evidence] == [("app.py:3 f", b"")] * 4
    assert sent.agent.bounded["evidence"] == 4
