"""Before and after, and what is noise."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.model.comparison import Comparison, RouteChange, baseline, compare
from perftui.model.events import SourceEvent
from perftui.model.intervals import Interval, quantile_intervals, rate_interval, share_interval
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from tests.support.frames import T, dashboard_of, frame, joined, received, route, sketch, traffic, worker

A = worker(1)


def served(latencies_ms: list[float], errors: int = 0, label: str = "GET /", seconds: int = 10) -> Summary:
    """Return the picture of a service that took so long for its requests."""
    sent = route(label, latencies_ms, success=len(latencies_ms) - errors, server_error=errors)
    one = frame(1, T + seconds, [sent], span_s=float(seconds))
    return summarize(dashboard_of(joined(A), received(A, one)), T + seconds + 0.5)


def drawn(seed: int, number: int = 2000, times: float = 1.0) -> list[float]:
    rng = random.Random(seed)
    return [times * rng.lognormvariate(3.0, 0.7) for _ in range(number)]


def only(comparison: Comparison, figure: str) -> str:
    (row,) = comparison.routes
    verdict: str = getattr(row, figure).verdict
    return verdict


def of_quantile(rng: random.Random, q: float) -> Interval:
    """Return where a quantile of 400 times of 10 ms on average is said to lie."""
    ((interval, _),) = quantile_intervals(sketch([rng.expovariate(0.1) for _ in range(400)]), (q,))
    return interval


@given(st.lists(st.floats(0.01, 10_000), min_size=1, max_size=80), st.integers(0, 5))
def test_a_picture_is_never_better_or_worse_than_itself(latencies_ms: list[float], errors: int) -> None:
    """Whatever it shows."""
    picture = served(latencies_ms, min(errors, len(latencies_ms)))
    comparison = compare(picture, picture)
    for row in (comparison.all_routes, *comparison.routes):
        verdicts = {each.verdict for each in (row.p50, row.p95, row.p99, row.rps, row.error_rate)}
        assert verdicts <= {"noise", "unknown"}


def test_what_comes_from_one_distribution_is_noise() -> None:
    """Of 120 routes that did not change, hardly any is said to have changed: 360 quantiles, one at most."""
    real = [
        change
        for seed in range(120)
        for row in compare(served(drawn(seed, 500)), served(drawn(seed + 1000, 500))).routes
        for change in (row.p50, row.p95, row.p99)
        if change.is_real
    ]
    assert len(real) <= 1


@pytest.mark.parametrize(("times", "verdict"), [(2.0, "up"), (0.5, "down")])
def test_what_takes_twice_or_half_as_long_has_changed(times: float, verdict: str) -> None:
    """All its quantiles have, and its requests a second have not."""
    (row,) = compare(served(drawn(1)), served(drawn(2, times=times))).routes
    assert [row.p50.verdict, row.p95.verdict, row.p99.verdict] == [verdict] * 3
    assert (row.is_worse, row.is_better) == (verdict == "up", verdict == "down")
    assert row.rps.verdict == "noise"
    assert row.p50.ratio is not None
    assert abs(row.p50.ratio - (times - 1)) < 0.1


def test_of_few_requests_no_p99_can_be_told() -> None:
    """Thirty have no rank that bounds it; that they are all ten times slower shows in the median."""
    comparison = compare(served(drawn(1, 30)), served(drawn(2, 30, times=10.0)))
    assert only(comparison, "p99") == "unknown"
    assert only(comparison, "p50") == "up"


def test_what_hardly_moved_is_no_news_however_sure_it_is() -> None:
    """Two percent of a hundred thousand requests are certain, and nobody's concern."""
    before, after = [10.0] * 20_000, [10.2] * 20_000
    assert only(compare(served(before), served(after)), "p95") == "noise"
    assert only(compare(served([0.05] * 20_000), served([0.09] * 20_000)), "p95") == "noise"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(0, 1, "noise"), (0, 50, "up"), (50, 0, "down"), (20, 25, "noise"), (0, 0, "noise")],
)
def test_errors_of_a_thousand_requests(before: int, after: int, verdict: str) -> None:
    """One more is chance, fifty more are not."""
    latencies_ms = [10.0] * 1000
    assert only(compare(served(latencies_ms, before), served(latencies_ms, after)), "error_rate") == verdict


@pytest.mark.parametrize(
    ("before", "after", "verdict"), [(100, 110, "noise"), (100, 200, "up"), (20_000, 21_000, "noise")]
)
def test_requests_a_second(before: int, after: int, verdict: str) -> None:
    """A hundred may be a hundred and ten the next time; five percent is no news."""
    assert only(compare(served([1.0] * before), served([1.0] * after)), "rps") == verdict


def test_rates_are_compared_whatever_the_lengths_of_the_windows() -> None:
    """A thousand in ten seconds are as many as five hundred in five."""
    (row,) = compare(served([1.0] * 1000, seconds=10), served([1.0] * 500, seconds=5)).routes
    assert (row.rps.before, row.rps.after, row.rps.verdict) == (100.0, 100.0, "noise")


def test_routes_that_came_and_went_are_told() -> None:
    """They have nothing to be compared with, and no figure of theirs is said to have changed but the rate."""
    comparison = compare(served(drawn(1), label="GET /old"), served(drawn(2), label="GET /new"))
    assert {row.route: (row.there, row.verdict) for row in comparison.routes} == {
        "GET /old": ("before", "gone"),
        "GET /new": ("after", "new"),
    }
    new = comparison.route("GET /new")
    assert new is not None
    assert (new.p95.before, new.p95.verdict, new.error_rate.verdict) == (None, "unknown", "unknown")
    assert new.rps.verdict == "up"
    assert comparison.route("GET /never") is None


def test_a_route_that_nobody_happened_to_ask_for_is_not_gone() -> None:
    """Of three requests all may have come before by chance; of ten they have not."""
    nothing = served(drawn(1, 100), label="GET /other")
    for requests, verdict in ((3, "too-few"), (10, "gone")):
        found = compare(served(drawn(1, requests)), nothing).route("GET /")
        assert found is not None
        assert found.verdict == verdict


@pytest.mark.parametrize(
    ("old", "new", "is_one"),
    [
        ("GET /items/{id}", "GET /items/{item_id}", True),
        ("GET /api/v1/items/{id}", "GET /api/v2/items/{id}", True),
        ("GET /f/{path:path}", "GET /f/{rest:path}", True),
        ("GET /f/{path:path}", "GET /f/{path}", False),
        ("GET /items/{id}", "POST /items/{id}", False),
        ("GET /old", "GET /new", False),
    ],
)
def test_a_renamed_route_is_compared_with_what_it_was(old: str, new: str, is_one: bool) -> None:
    """The names of parameters and versions of an interface are no other route."""
    comparison = compare(served(drawn(1), label=old), served(drawn(2, times=2.0), label=new))
    if is_one:
        (row,) = comparison.routes
        assert (row.route, row.was, row.verdict, row.there) == (new, old, "worse", "both")
    else:
        assert {row.verdict for row in comparison.routes} == {"new", "gone"}


def test_of_several_that_a_route_could_have_been_it_was_none() -> None:
    """Nothing is guessed."""
    parts = [route(label, [10.0] * 100) for label in ("GET /a/{x}", "GET /a/{y}")]
    before = summarize(dashboard_of(joined(A), received(A, frame(1, T + 10, parts, span_s=10.0))), T + 10.5)
    rows = compare(before, served(drawn(1), label="GET /a/{z}")).routes
    assert sorted(row.verdict for row in rows) == ["gone", "gone", "new"]


def test_the_worse_come_first() -> None:
    """Then the better, then what is the same, each by what they cost."""

    def picture(slow: float, fast: float) -> Summary:
        parts = [
            route("GET /same-cheap", [1.0] * 500),
            route("GET /same", [100.0] * 500),
            route("GET /better", [fast] * 500),
            route("GET /worse", [slow] * 500),
        ]
        return summarize(dashboard_of(joined(A), received(A, frame(1, T + 1, parts))), T + 1.5)

    rows = compare(picture(10.0, 10.0), picture(20.0, 5.0)).routes
    assert [row.route for row in rows] == ["GET /worse", "GET /better", "GET /same", "GET /same-cheap"]


def test_all_routes_are_compared_together_as_well() -> None:
    """From their merged latencies."""
    everything = compare(served(drawn(1)), served(drawn(2, times=2.0))).all_routes
    assert (everything.requests, everything.p95.verdict) == ((2000, 2000), "up")


def test_nothing_compared_with_nothing_is_unknown() -> None:
    """A service without traffic hasn't changed."""
    nothing = summarize(dashboard_of(joined(A)), T + 1.0)
    comparison = compare(nothing, nothing)
    assert comparison.routes == ()
    assert comparison.all_routes.p95.verdict == comparison.all_routes.rps.verdict == "unknown"


@pytest.mark.parametrize(
    ("interval", "true"),
    [
        (
            lambda rng: of_quantile(rng, 0.95),
            29.957e6,
        ),
        (lambda rng: of_quantile(rng, 0.5), 6.931e6),
        (lambda rng: share_interval(sum(rng.random() < 0.02 for _ in range(400)), 400), 0.02),
        (lambda rng: rate_interval(sum(rng.random() < 0.1 for _ in range(1000)), 10.0), 10.0),
    ],
    ids=["p95", "p50", "share", "rate"],
)
def test_an_interval_holds_the_true_value_as_often_as_it_says(
    interval: Callable[[random.Random], tuple[float | None, float | None]], true: float
) -> None:
    """At least 294 of 300 times, where 297 are to be expected."""
    rng = random.Random(7)
    held = 0
    for _ in range(300):
        low, high = interval(rng)
        held += (low is None or low <= true) and (high is None or true <= high)
    assert held >= 294


def test_a_baseline_is_the_picture_of_its_moment_and_holds_no_history() -> None:
    """A mark may be kept for hours: what it was made from must go."""
    dashboard = dashboard_of(*traffic(workers=2, routes=3, seconds=90, requests=2))
    block = weakref.ref(next(iter(dashboard.history.blocks.values())))
    mark = baseline(summarize(dashboard, T + 60.5, 30, cursor=T + 60.5))
    assert (mark.totals.requests, mark.at) == (2 * 3 * 2 * 30, T + 60.5)
    assert compare(mark, summarize(dashboard, T + 90.5, 30)).all_routes.requests == (360, 360)
    del dashboard
    gc.collect()
    assert block() is None


def busy(seed: int, label: str = "GET /orders", statements: float = 3.0, calls: float = 0.0) -> Summary:
    """Return the picture of half a minute: in each second some requests, each with some statements."""
    rng = random.Random(seed)
    events: list[SourceEvent] = [joined(A)]
    for second in range(1, 31):
        number = rng.randrange(20, 40)
        one = route(label, [rng.lognormvariate(3.0, 0.5) for _ in range(number)])
        asked = sum(max(0, round(rng.gauss(statements, 2.0))) for _ in range(number))
        one = msgspec.structs.replace(one, sql_count=asked, http_count=round(calls * number))
        sent = frame(second, T + second, [one])
        sent.probes["sqlalchemy"] = sent.probes["httpx"] = "on"
        events.append(received(A, sent))
    return summarize(dashboard_of(*events), T + 30.5, 30)


def test_statements_and_calls_of_a_request_are_held_against_how_they_differ_anyhow() -> None:
    """A request in three more is told, a fiftieth more is noise, and so is what differs by chance."""

    def said(before: Summary, after: Summary) -> RouteChange:
        return compare(before, after).routes[0]

    assert said(busy(1), busy(2)).sql_per_request.verdict == "noise"
    more = said(busy(1), busy(2, statements=5.0))
    assert (more.sql_per_request.verdict, more.verdict) == ("up", "worse")
    fewer = said(busy(1, statements=20.0), busy(2, statements=1.0))
    assert (fewer.sql_per_request.verdict, fewer.verdict) == ("down", "better")
    assert said(busy(1, calls=1.0), busy(2, calls=3.0)).http_per_request.verdict == "up"
    assert said(busy(1, calls=1.0), busy(2, calls=1.0)).http_per_request.verdict == "noise"


def test_among_many_routes_a_change_has_to_be_less_likely_to_be_chance() -> None:
    """What one route by itself would be marked for, one of hundreds is not: some differ so by chance."""

    def many(seed: int, slower: float, others: int) -> Summary:
        rng = random.Random(seed)
        parts = [route("GET /slower", [slower * rng.lognormvariate(3.0, 0.5) for _ in range(250)])]
        parts += [
            route(f"GET /r{n}", [rng.lognormvariate(3.0, 0.5) for _ in range(60)]) for n in range(others)
        ]
        return summarize(dashboard_of(joined(A), received(A, frame(1, T + 1, parts))), T + 1.5)

    def found(others: int) -> RouteChange | None:
        return compare(many(1, 1.0, others), many(5, 1.25, others)).route("GET /slower")

    few, crowd = found(0), found(300)
    assert few is not None
    assert crowd is not None
    assert (few.verdict, crowd.verdict) == ("worse", "noise")


def test_stretches_that_differ_make_a_change_harder_to_believe() -> None:
    """A minute with one bad spell is no slower version: the spell may as well have come in the other."""

    def spells(seed: int, bad: set[int]) -> Summary:
        rng = random.Random(seed)
        events: list[SourceEvent] = [joined(A)]
        for second in range(1, 31):
            times = 20.0 if second in bad else 1.0
            one = route("GET /", [times * rng.lognormvariate(3.0, 0.5) for _ in range(60)])
            events.append(received(A, frame(second, T + second, [one])))
        return summarize(dashboard_of(*events), T + 30.5, 30)

    (row,) = compare(spells(1, set()), spells(2, {11, 12})).routes
    assert row.p95.matters
    assert row.verdict in {"noise", "too-few"}
    (row,) = compare(spells(1, set()), spells(2, set(range(31)))).routes
    assert row.verdict == "worse"


def test_a_verdict_in_a_word() -> None:
    """Nothing that matters is the same; what may be chance is noise; what can't be told is told as that."""
    (row,) = compare(served(drawn(1, 5000)), served([1.01 * each for each in drawn(1, 5000)])).routes
    assert row.verdict == "same"
    (row,) = compare(served(drawn(1, 200)), served(drawn(9, 200))).routes
    assert row.verdict in {"noise", "same"}
    (row,) = compare(served(drawn(1, 12)), served(drawn(9, 12))).routes
    assert row.verdict == "too-few"
