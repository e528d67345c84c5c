"""Promise 13: a bound forgets what matters least, never what came last, and loses no count."""

from __future__ import annotations

from time import perf_counter_ns

import psutil
import pytest

from perftui_agent.records import CacheRecord, RequestRecord, StatementRecord, kept_of
from perftui_agent.window.caches import MAX_COMMANDS
from perftui_agent.window.routes import MAX_ROUTES
from perftui_agent.window.shapes import MAX_MET, MAX_SHAPES, MAX_TEXTS, OTHER_SHAPES
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import encode
from perftui_agent.wire.frames import Frame
from tests.support.requests import begin, end

SECOND_NS = 1_000_000_000
MS = 1_000_000


@pytest.fixture
def window() -> Window:
    window = Window()
    window.take()
    return window


def runs(window: Window, text: str, ns: int = MS, request: RequestRecord | None = None) -> None:
    """Have a statement run, as the probe writes it down."""
    now = perf_counter_ns()
    record = StatementRecord(request, "sql", "", now, now + ns, known=window.known_texts.get(hash(text)))
    if record.known is None:
        record.text, record.text_hash = kept_of(text), hash(text)
    window.put(record)
    if len(window.pending) >= 500:
        window.fold_pending()


def asks(window: Window, name: str, times: int = 1) -> None:
    for _ in range(times):
        window.put(CacheRecord(None, "cache", name, 0, MS, hits=1))
    if len(window.pending) >= 500:
        window.fold_pending()


def serves(window: Window, route: str, ns: int = MS) -> None:
    end(begin(window), route, ns)
    if len(window.begun) >= 500:
        window.fold_pending()


def frame_of(window: Window) -> Frame:
    window.find_ended()
    while window.fold_pending(10_000):
        pass
    return window.close(seq=1, ended_at_ns=1, span_ns=SECOND_NS)


def counts(frame: Frame) -> dict[str, int]:
    return {row.statement: row.latency.count for row in frame.statements}


MIGRATION = [f"CREATE TABLE t{number}x (id INTEGER, c{number}y TEXT)" for number in range(3_000)]
HOT = [f"SELECT hot{number}x FROM t WHERE id = ?" for number in range(10)]


def test_after_a_migration_the_statements_that_run_are_named(window: Window) -> None:
    """3,000 distinct ones at start, however costly they were, and ten of them are named within seconds."""
    for text in MIGRATION:
        runs(window, text, 5 * MS)
    first = frame_of(window)
    assert sum(counts(first).values()) == 3_000
    assert len(first.statements) <= MAX_SHAPES + 1
    seconds = 0
    named: dict[str, int] = {}
    while not set(HOT) <= set(named):
        for text in HOT:
            for _ in range(10):
                runs(window, text, MS // 10)
        named = counts(frame_of(window))
        assert sum(named.values()) == 100
        seconds += 1
        assert seconds <= 2
    assert OTHER_SHAPES not in counts(frame_of(window))
    assert window.forgotten["statements"] + window.forgotten["texts"] >= 3_000 - MAX_SHAPES


def test_what_comes_back_is_known_again(window: Window) -> None:
    """A statement that was forgotten has the fingerprint and the example that it had before."""
    runs(window, "SELECT rare FROM t WHERE id = 7", ns=1)
    (before,) = frame_of(window).statements
    for second in range(3):
        for number in range(MAX_SHAPES):
            runs(window, f"SELECT c{second}x{number}y FROM t")
        frame_of(window)
    assert window.shapes.shape(before.fingerprint) is None
    runs(window, "SELECT rare FROM t WHERE id = 8")
    (after,) = frame_of(window).statements
    assert after.fingerprint == before.fingerprint
    shape = window.shapes.shape(after.fingerprint)
    assert shape is not None
    assert shape.example == "SELECT rare FROM t WHERE id = 8"


def test_a_request_that_outlives_the_memory_of_its_statement_has_one_row_of_it(window: Window) -> None:
    """What it ran before its shape was forgotten, and what after, is of one fingerprint."""
    request = begin(window)
    runs(window, "SELECT a FROM t WHERE id = 1", ns=1, request=request)
    frame_of(window)
    for second in range(3):
        for number in range(MAX_SHAPES):
            runs(window, f"SELECT c{second}x{number}y FROM t")
        frame_of(window)
    runs(window, "SELECT a FROM t WHERE id = 2", request=request)
    end(request, "GET /long")
    (row,) = frame_of(window).statements
    assert (row.latency.count, row.routes) == (1, {"GET /long": 2})


def test_of_more_statements_than_a_frame_has_room_for_the_cheapest_share_a_row(window: Window) -> None:
    """Their executions and times are exact, and how many there were is told."""
    for number in range(MAX_SHAPES + 100):
        runs(window, f"SELECT c{number}x FROM t", ns=(number + 1) * 1000)
    frame = frame_of(window)
    assert sum(row.latency.total for row in frame.statements) == sum(
        (number + 1) * 1000 for number in range(MAX_SHAPES + 100)
    )
    assert counts(frame)[OTHER_SHAPES] == 100
    assert counts(frame)[f"SELECT c{MAX_SHAPES + 99}x FROM t"] == 1
    assert window.take_bounded()["statements"] == 100


def test_statements_that_share_a_row_are_no_repetition(window: Window) -> None:
    """A request that runs fifty different ones for which there is no room repeats nothing."""
    for text in MIGRATION:
        runs(window, text)
    request = begin(window)
    for number in range(50):
        runs(window, f"SELECT z{number}x, {'c, ' * 3000} z FROM t", request=request)
    end(request, "GET /many")
    window.find_ended()
    window.fold_pending()
    frame = frame_of(window)
    (route,) = frame.routes
    assert counts(frame)[OTHER_SHAPES] >= 2_000
    assert route.repeats == []


def test_texts_without_end_that_differ_in_their_literals_alone_are_one_statement(window: Window) -> None:
    """Thousands a second: each is counted under its shape, one of them is read."""
    for number in range(20_000):
        runs(window, f"SELECT a FROM t WHERE id = {number} AND name = 'n{number}'")
    for _ in range(10):
        runs(window, "SELECT b FROM u WHERE id = ?")
    frame = frame_of(window)
    assert counts(frame) == {
        "SELECT a FROM t WHERE id = ? AND name = ?": 20_000,
        "SELECT b FROM u WHERE id = ?": 10,
    }
    assert window.forgotten["texts"] == 0


def test_texts_without_end_that_are_all_different_are_not_all_read(window: Window) -> None:
    """What nobody has the time for shares a row and is counted; what comes again is read all the same."""
    for _ in range(3):
        for number in range(10_000):
            runs(window, f'SELECT t."c{number}x" FROM t')
    for _ in range(20):
        runs(window, 'SELECT t."often" FROM t')
    frame = frame_of(window)
    assert sum(counts(frame).values()) == 30_020
    assert counts(frame)['SELECT t."often" FROM t'] == 19
    assert window.forgotten["texts"] > 20_000


def test_of_a_statement_that_all_routes_run_those_that_run_it_most_are_told(window: Window) -> None:
    """The others share a row; the sum is that of its executions."""
    for number in range(200):
        request = begin(window)
        for _ in range(1 + number // 10):
            runs(window, "SELECT session FROM sessions", request=request)
        end(request, f"GET /r{number}")
    (row,) = frame_of(window).statements
    assert len(row.routes) == 50
    assert sum(row.routes.values()) == row.latency.count
    assert row.routes["GET /r199"] == 20
    assert "GET /r0" not in row.routes


def test_templates_made_on_the_fly_keep_no_route_from_its_row(window: Window) -> None:
    """20,000 of them, and then the ones that are used: named at once, and no request is lost."""
    for number in range(20_000):
        serves(window, f"GET /made/{number}x", ns=2 * MS)
    first = frame_of(window)
    assert sum(route.status.total() for route in first.routes) == 20_000
    assert len(first.routes) <= MAX_ROUTES + 1
    for number in range(10):
        serves(window, f"GET /hot/{number}")
    second = frame_of(window)
    assert {route.route for route in second.routes} == {f"GET /hot/{number}" for number in range(10)}
    assert window.forgotten["routes"] >= 1


def test_a_route_that_fails_matters_more_than_many_that_do_not(window: Window) -> None:
    """Of more routes than a frame has room for, one with a 500 has its row."""
    request = begin(window, status=500)
    end(request, "GET /broken", ns=1)
    for number in range(3 * MAX_ROUTES):
        serves(window, f"GET /r{number}", ns=10 * MS)
    labels = {route.route for route in frame_of(window).routes}
    assert "GET /broken" in labels
    assert len(labels) == MAX_ROUTES + 1


def test_prefixes_without_end_keep_no_command_from_its_row(window: Window) -> None:
    """Keys that begin with thousands of words are their command's; what is asked often has a row."""
    for number in range(5_000):
        asks(window, f"GET w{number}:*")
    frame_of(window)
    for number in range(1_000):
        asks(window, f"GET v{number}:*")
    asks(window, "GET user:*", times=50)
    rows = {row.name: row.hits for row in frame_of(window).caches}
    assert rows["GET user:*"] == 50
    assert sum(rows.values()) == 1_050
    assert rows["GET *"] > 500
    assert len(rows) <= MAX_COMMANDS + 1


def test_promise_13_tables_stay_small_under_100_000_names(window: Window) -> None:
    """Distinct statements, routes and commands: memory and frames are those of the bounds."""
    process = psutil.Process()
    sizes, memory = [], []
    for second in range(10):
        for number in range(3_400):
            name = f"{second}x{number}y"
            runs(window, f"SELECT c{name} FROM t{name}")
            serves(window, f"GET /r{name}")
            asks(window, f"GET w{name}:*")
        frame = frame_of(window)
        assert sum(counts(frame).values()) == 3_400
        assert sum(route.status.total() for route in frame.routes) == 3_400
        sizes.append(len(encode(frame)))
        del frame
        memory.append(process.memory_info().rss)
    assert max(sizes) < 512 * 1024
    assert memory[-1] - memory[1] < 8_000_000
    assert len(window.known_texts) <= MAX_TEXTS
    assert len(window.shapes._met) <= MAX_MET
