"""The language that says which rows are wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.model.figures import FIGURES
from perftui.model.filter import EVERYTHING, Filter, FilterError, parse_filter
from perftui.model.measures import Latency
from perftui.model.outside_summary import PoolSummary, QuerySummary
from perftui.model.packed import NOTHING
from perftui.model.route_summary import RouteSummary
from perftui.model.worker_summary import WorkerState, WorkerSummary
from tests.support.frames import worker

LABELS = st.text(st.characters(blacklist_characters='"', blacklist_categories=("Cc", "Cs")), min_size=1)


def route(
    label: str = "GET /orders",
    p95_ms: float | None = 250.0,
    error_rate: float = 0.02,
    sql: float | None = 12.0,
    **status: int,
) -> RouteSummary:
    return RouteSummary(
        route=label,
        requests=100,
        rps=10.0,
        errors=2,
        error_rate=error_rate,
        status={"2xx": 98, "5xx": 2, **status},
        latency=Latency(100, 10.0, p95_ms, 900.0, 1000.0),
        sketch=NOTHING,
        total_ms=5000.0,
        sql_per_request=sql,
    )


def a_worker(pid: int = 4121, state: WorkerState = "ok", cpu_percent: float | None = 50.0) -> WorkerSummary:
    return WorkerSummary(worker(pid), state, requests=50, cpu_percent=cpu_percent, rss_bytes=200_000_000)


def query(statement: str = "SELECT * FROM items", *routes: str) -> QuerySummary:
    return QuerySummary(
        statement, "f1", 10, 1, Latency(10, 1.0, 5.0, 9.0, 9.0), 50.0, routes, call_site="crud.py:88 load"
    )


POOL = PoolSummary("main", "QueuePool", 5, 1, 0, 15, 310.0, 2)


@pytest.mark.parametrize(
    "text",
    [
        "p95>200ms", "p95>0.2s", "p95>2000µs", "p95>=250", "p95=250ms", "p95<1s", "p99<=900ms", "errors>1%",
        "errors<5%", "rps>=10", "sql>10", "n=100", "n<0.2k", "total>4s", "route:/orders", "route:get",
        "status:5xx", "orders", '"GET /orders"', 'route:"get /"', "-route:/pay", "-p95>300ms",
        "p95>200ms errors>1% orders",
    ],
)  # fmt: skip
def test_a_row_that_meets_every_word_is_wanted(text: str) -> None:
    """Figures with and without units, names and text, in any case."""
    assert parse_filter(text).wants(route())


@pytest.mark.parametrize(
    "text",
    [
        "p95>250ms", "p95<200ms", "p95>300", "errors>2%", "rps>10", "sql<12", "n>0.1k", "route:/pay",
        "status:4xx", "pay", '"orders get"', "-orders", "-p95>200ms", "p95>200ms errors>10%",
    ],
)  # fmt: skip
def test_a_row_that_misses_a_word_is_not(text: str) -> None:
    """One is enough."""
    assert not parse_filter(text).wants(route())


def test_words_that_say_nothing_about_a_kind_of_row_leave_it_alone() -> None:
    """Workers have no SQL, and pools no route: filtering the routes doesn't empty the other tables."""
    wanted = parse_filter("route:/orders sql>10")
    assert wanted.of([route(), route("GET /pay")]) == (route(),)
    assert wanted.of([a_worker()]) == (a_worker(),)
    assert wanted.of([POOL]) == (POOL,)
    assert wanted.of([query("SELECT 1", "GET /orders"), query("SELECT 2", "GET /pay")]) == (
        query("SELECT 1", "GET /orders"),
    )


@pytest.mark.parametrize(
    ("text", "pids"),
    [
        ("worker:4121", [4121]),
        ("-worker:4121", [4122, 4123]),
        ("state:blocked", [4122]),
        ("cpu>=50%", [4121]),
        ("memory>150MB", [4121, 4122, 4123]),
        ("rss>=0.2gb", [4121, 4122, 4123]),
        ("memory>200MiB", []),
        ("412", [4121, 4122, 4123]),
        ("blocked", [4122]),
    ],
)
def test_workers_go_by_pid_state_and_their_figures(text: str, pids: list[int]) -> None:
    """A figure that was not measured meets no bound."""
    rows = [a_worker(4121), a_worker(4122, "blocked", cpu_percent=20.0), a_worker(4123, cpu_percent=None)]
    assert [row.pid for row in parse_filter(text).of(rows)] == pids


def test_statements_are_found_by_their_text_and_their_call_site() -> None:
    """Wherever in it the text is."""
    assert parse_filter("from crud.py").wants(query())
    assert not parse_filter("orders").wants(query())


def test_an_empty_filter_wants_everything() -> None:
    """Blanks are no words."""
    for nothing in (EVERYTHING, parse_filter(""), parse_filter("  ")):
        assert not nothing
        assert nothing.wants(route())


@pytest.mark.parametrize(
    ("text", "word", "sentence"),
    [
        ("p95>fast", "p95>fast", "p95>fast: fast is not a time, write p95>200ms or 1.5s"),
        ("orders p95>", "p95>", "p95>: p95 wants a time, write p95>200ms or 1.5s"),
        ("errors>1", "errors>1", "errors>1: 1 is not a share, write errors>1%"),
        ("memory>5ms", "memory>5ms", "memory>5ms: 5ms is not a size, write memory>50kB or 200MB"),
        ("status:200", "status:200", "status:200: a status is one of 1xx, 2xx, 3xx, 4xx, 5xx, disconnected"),
        ("worker:web-1", "worker:web-1", "worker:web-1: a worker is told by its pid, like worker:4121"),
        ("state:bad", "state:bad", "state:bad: a worker is ok, blocked, silent or gone"),
        ("route:", "route:", "route: wants something after it"),
        ('a "b c', '"b c', 'the quote in "b c is not closed'),
        (
            "a path:/x",
            "path:/x",
            (
                "path:/x: there is no path:, there is route:, worker:, status:, state:; "
                'in quotes it is text: "path:/x"'
            ),
        ),
    ],
)
def test_what_is_not_understood_is_one_sentence_about_the_word(text: str, word: str, sentence: str) -> None:
    """And says where in the line the word is."""
    with pytest.raises(FilterError) as raised:
        parse_filter(text)
    assert str(raised.value) == sentence
    assert text[raised.value.at :].startswith(word)
    assert raised.value.word == word


def test_a_figure_that_does_not_exist_is_told_with_those_that_do() -> None:
    """So that the next try is right."""
    with pytest.raises(FilterError, match="there is no figure p42, there is p50, p95, p99"):
        parse_filter("p42>1")


@given(st.text(max_size=60))
def test_any_line_is_a_filter_or_a_sentence_about_one_of_its_words(text: str) -> None:
    """Whatever is typed, nothing else comes out, and the word is where it is said to be."""
    problem = None
    try:
        parse_filter(text).wants(route())
    except FilterError as error:
        problem = error
    if problem is not None:
        assert problem.word
        assert text[problem.at : problem.at + len(problem.word)] == problem.word
        assert problem.word in str(problem)


@given(LABELS)
def test_any_text_can_be_looked_for_in_quotes(label: str) -> None:
    """Blanks, signs and colons are nothing special there."""
    assert parse_filter(f'"{label}"').wants(route(label))
    assert not parse_filter(f'-"{label}"').wants(route(label))
    assert parse_filter(f'route:"{label}"').wants(route(label))


@given(
    st.sampled_from(sorted(FIGURES)),
    st.sampled_from([">", ">=", "<", "<=", "="]),
    st.integers(0, 1000),
)
def test_a_word_and_its_opposite_part_the_rows_it_speaks_of(name: str, sign: str, bound: int) -> None:
    """Every row is wanted by one of them, or by both if the word says nothing about it."""
    unit = "%" if name == "errors" else ""
    word = f"{name}{sign}{bound}{unit}"
    for row in (route(), a_worker(), query(), POOL):
        met, opposite = parse_filter(word).wants(row), parse_filter(f"-{word}").wants(row)
        assert (met and opposite) if type(row) not in FIGURES[name].of else met != opposite


@given(
    st.lists(st.sampled_from(["p95>200ms", "-orders", "rps>=5", "route:/orders", "errors>5%"]), max_size=4)
)
def test_words_together_want_what_each_wants(words: list[str]) -> None:
    """In whatever order."""
    assert parse_filter(" ".join(words)).wants(route()) == all(
        parse_filter(word).wants(route()) for word in words
    )


def test_a_filter_keeps_the_text_it_was_made_of() -> None:
    """To show it, and to go on typing."""
    wanted: Filter = parse_filter("route:/orders p95>1s")
    assert wanted.text == "route:/orders p95>1s"
