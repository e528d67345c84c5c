"""Verdicts: what was seen held against what was promised, as far as that can tell."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest

from perftui.check.grammar import parse_objective
from perftui.check.judge import Judged, judge_all, overall
from perftui.check.reasons import explained
from perftui.findings.find import find
from perftui.model.comparison import baseline
from perftui.model.measures import Latency, Sketches, Step
from perftui.model.outside_summary import QuerySummary
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui_agent.sketch import LatencySketch
from tests.perftui.findings.pictures import a_route, picture, queued
from tests.support.frames import sketch

TRUE_P95_MS = 31.63
"""Of `drawn`: e^(ln 10 + 0.7·1.645)."""


def drawn(rng: random.Random, number: int, times: float = 1.0) -> list[float]:
    return [times * rng.lognormvariate(2.302585, 0.7) for _ in range(number)]


def judged(text: str, summary: Summary, *others: str) -> Judged:
    objectives = [parse_objective(each) for each in (text, *others)]
    return judge_all(objectives, summary, find(summary), {})[0]


def verdict(text: str, *routes: RouteSummary) -> str:
    return judged(text, picture(routes=routes)).verdict


@pytest.mark.parametrize(
    ("latencies_ms", "said"),
    [
        ([50.0] * 1000, "met"),
        ([500.0] * 1000, "missed"),
        ([50.0] * 940 + [500.0] * 60, "undecided"),
        ([50.0] * 900 + [500.0] * 100, "missed"),
        ([50.0] * 30, "undecided"),
        ([500.0] * 30, "missed"),
        ([500.0] * 5, "undecided"),
    ],
)
def test_a_p95_is_met_missed_or_cannot_be_told(latencies_ms: list[float], said: str) -> None:
    """Six of a hundred that are too slow may be five the next time; of thirty no p95 can be bounded above."""
    assert verdict("p95<200ms", a_route("GET /", latencies_ms)) == said


@pytest.mark.parametrize("target", ["p50<11ms", "p95<34ms", "p99<60ms", "errors<0.5%"])
def test_as_many_requests_as_it_says_would_tell(target: str) -> None:
    """What is undecided says how many more are needed; with those the same service is judged."""
    few = drawn(random.Random(3), 150)
    before = judged(target, picture(routes=[a_route("GET /", few)]))
    assert (before.verdict, before.needs is not None) == ("undecided", True)
    times = -(-(before.needs or 0) // 150)
    assert "like these would tell" in before.note
    many = [a_route("GET /", few * times)]
    assert judged(target, picture(routes=many)).verdict != "undecided"


def test_a_value_on_its_bound_is_never_told_apart() -> None:
    """No number of requests does."""
    half = [10.0] * 950 + [300.0] * 50
    on_it = judged("p95<10ms", picture(routes=[a_route("GET /", half)]))
    assert on_it.verdict in {"undecided", "missed"}
    assert judged("errors<5%", picture(routes=[a_route("GET /", errors=5)])).needs is None


@pytest.mark.parametrize("number", [100, 500, 2000])
def test_unchanged_code_misses_its_own_p95_at_most_once_in_200_times(number: int) -> None:
    """The bound is where the p95 truly is, the worst place: of 600 checks, three are to be expected."""
    rng = random.Random(11)
    missed = sum(
        verdict(f"p95<={TRUE_P95_MS}ms", a_route("GET /", drawn(rng, number))) == "missed" for _ in range(600)
    )
    assert missed <= 4


def test_a_p95_that_grew_by_15_percent_is_caught_of_2000_requests() -> None:
    """At least 95 times of 100, the bound being where the p95 was."""
    rng = random.Random(12)
    caught = sum(
        verdict(f"p95<={TRUE_P95_MS}ms", a_route("GET /", drawn(rng, 2000, 1.15))) == "missed"
        for _ in range(100)
    )
    assert caught >= 95


def test_stretches_that_differ_by_more_than_chance_widen_what_is_said() -> None:
    """Ten that waited for the same lock are not ten draws: one bad stretch of ten decides nothing."""
    good, bad = sketch([10.0] * 100), sketch([10.0] * 20 + [300.0] * 80)
    calm = [Step(float(at), good, requests=100) for at in range(9)]
    latencies_ms = [10.0] * 920 + [300.0] * 80
    even = a_route("GET /", latencies_ms)
    uneven = a_route("GET /", latencies_ms, steps=(*calm, Step(9.0, bad, requests=100)))
    assert verdict("p95<200ms", even) == "missed"
    assert verdict("p95<200ms", uneven) == "undecided"


def test_errors_are_judged_by_what_their_number_can_tell() -> None:
    """One more is to make no difference: none of a hundred is no promise of less than a percent."""
    assert verdict("errors<1%", a_route("GET /", [1.0] * 100)) == "undecided"
    assert verdict("errors<1%", a_route("GET /", [1.0] * 101)) == "met"
    assert verdict("errors<1%", a_route("GET /", [1.0] * 200, errors=1)) == "undecided"
    assert verdict("errors<1%", a_route("GET /", [1.0] * 201, errors=1)) == "met"
    assert verdict("errors<1%", a_route("GET /", [1.0] * 300, errors=6)) == "undecided"
    assert verdict("errors<1%", a_route("GET /", [1.0] * 500, errors=30)) == "missed"
    assert verdict("errors=0", a_route("GET /", [1.0] * 10)) == "met"
    assert verdict("errors=0", a_route("GET /", [1.0] * 1000, errors=1)) == "missed"


def test_a_rate_that_was_served_is_met_and_one_that_nearly_was_cannot_be_told() -> None:
    """The window is a minute."""
    assert verdict("rps>=50", a_route("GET /", [1.0] * 3000)) == "met"
    assert verdict("rps>=50", a_route("GET /", [1.0] * 2950)) == "undecided"
    assert verdict("rps>=50", a_route("GET /", [1.0] * 2000)) == "missed"
    assert judged("rps>=50", picture(routes=[])).note == "no request came"


def test_a_rate_says_how_many_requests_would_tell_it_from_its_bound() -> None:
    """48.3/s may be chance in a minute, and is none in as many minutes as are asked for."""
    few = judged("rps>=50", picture(routes=[a_route("GET /", [1.0] * 2900)]))
    assert (few.verdict, few.needs is not None) == ("undecided", True)
    minutes = -(-(few.needs or 0) // 2900)
    assert "like these would tell" in few.note
    many = picture(routes=[a_route("GET /", [1.0] * 2900 * minutes)], window_s=60.0 * minutes)
    assert judged("rps>=50", many).verdict == "missed"


def test_counts_have_no_noise() -> None:
    """They are what they are, of ten requests as of ten thousand."""
    row = a_route("GET /orders", [20.0] * 10, sql_per_request=51.0, http_per_request=3.0)
    assert verdict("sql_per_request<=12", row) == "missed"
    assert verdict("GET /orders: http_per_request<=3", row) == "met"
    assert verdict("requests>=11", row) == "missed"
    assert judged("sql_per_request<=12", picture(routes=[row])).interval == (51.0, 51.0)
    nobody = judged("sql_per_request<=12", picture(routes=[a_route("GET /")]))
    assert (nobody.verdict, nobody.value, nobody.note) == ("undecided", None, "no worker counts statements")


def test_counts_of_all_routes_are_weighed_by_their_requests() -> None:
    """Of 30 requests with 10 statements and 10 with 50, a request has 20."""
    rows = [
        a_route("GET /a", [1.0] * 30, sql_per_request=10.0),
        a_route("GET /b", [1.0] * 10, sql_per_request=50.0),
    ]
    assert judged("sql_per_request<=12", picture(routes=rows)).value == 20.0


def test_sizes_are_what_was_sent() -> None:
    """In bytes, without an interval."""
    sizes = LatencySketch()
    sizes.add_all([1_000] * 90 + [500_000] * 10)
    row = a_route("GET /", sketches=Sketches(sizes=sizes))
    found = judged("bytes_p95<200kB", picture(routes=[row]))
    assert (found.verdict, found.n) == ("missed", 100)
    assert found.value == pytest.approx(500_000, rel=0.01)
    assert verdict("bytes_p50<2kB", row) == "met"
    assert verdict("bytes_max<500kB", row) == "missed"


def test_too_many_statements_are_named_where_no_finding_is_behind_them() -> None:
    """The commonest of the route's, with its line; and what to type next tells of all of them."""
    load, count = (
        QuerySummary(
            text, text, 900, 0, Latency(), 9.0, ("GET /orders",), place, executions={"GET /orders": n}
        )
        for text, place, n in (("SELECT a", "app/crud.py:7 load", 90), ("SELECT b", None, 30))
    )
    row = a_route("GET /orders", [20.0] * 30, sql_per_request=4.0)
    shop = picture(routes=[row], queries=[count, load])
    missed = explained(judged("GET /orders: sql_per_request<=3", shop), shop, ())
    assert missed.cause == "no finding; 3 of them are SELECT a from app/crud.py:7 load"
    assert missed.next == "see what it does: perftui snapshot localhost:8000 --filter route:/orders"


def test_queued_is_judged_over_all_requests_whose_arrival_is_known() -> None:
    """Those that did not wait are zeros: twenty of a thousand that waited are no p95, and all of a p99."""
    waited = [400.0] * 20
    row = a_route(
        "GET /", [20.0] * 1000, queued=queued(waited, 1000), sketches=Sketches(queue=sketch(waited))
    )
    assert judged("queue_p95<50ms", picture(routes=[row])).verdict == "met"
    assert judged("queue_p95<50ms", picture(routes=[row])).n == 1000
    assert judged("queue_p99<50ms", picture(routes=[row])).verdict == "missed"


def test_a_route_with_a_target_of_its_own_is_left_out_of_everyones() -> None:
    """And who waits on purpose is in nobody's latency but its own."""
    rows = [
        a_route("GET /", [10.0] * 1000),
        a_route("POST /pay", [700.0] * 1000),
        a_route("GET /poll", [30_000.0] * 1000, long_poll="seen"),
    ]
    shop = picture(routes=rows)
    assert judged("p95<200ms", shop).verdict == "missed"
    assert judged("p95<200ms", shop, "POST /pay: p95<800ms").verdict == "met"
    assert judged("p95<200ms", shop, "POST /pay: p99<800ms").verdict == "missed"
    assert judged("GET /poll: p95<1s", shop).verdict == "missed"
    assert judged("GET /never: p95<1s", shop).note == "no request of GET /never came"


def test_findings_are_counted_by_kind_by_severity_and_all() -> None:
    """Of one route, those that are about it."""
    shop = picture(routes=[a_route("GET /", [10.0] * 100), a_route("GET /bad", [10.0] * 100, errors=60)])
    assert [each.kind for each in find(shop)] == ["error-burst"]
    for target, said in (
        ("findings=none", "missed"), ("error-burst=none", "missed"), ("high=none", "missed"),
        ("n-plus-one=none", "met"), ("findings<=1", "met"), ("findings<1", "missed"),
        ("GET /bad: findings=none", "missed"), ("GET /: findings=none", "met"),
    ):  # fmt: skip
        assert judged(target, shop).verdict == said, target
    assert judged("findings=none", picture(routes=[])).verdict == "undecided"


def test_a_missed_target_names_the_finding_behind_it_and_the_next_step() -> None:
    """Where there is none, where the time goes, and the command that shows more."""
    shop = picture(routes=[a_route("GET /bad", [10.0] * 500, errors=300)])
    (told,) = [explained(judged("errors<1%", shop), shop, find(shop))]
    assert told.cause.startswith("error-burst GET /bad: ")
    assert told.next
    slow = picture(routes=[a_route("GET /slow it's", [500.0] * 500, sql_ms_per_request=400.0)])
    told = explained(judged("GET /slow it's: p95<200ms", slow), slow, ())
    assert told.cause == "no finding; 80 % of the time is SQL"
    assert told.next == "perftui profile localhost:8000 --route 'GET /slow it'\"'\"'s' --for 10s"
    few = picture(routes=[a_route("GET /", [10.0] * 30)])
    told = explained(judged("p95<200ms", few), few, ())
    assert told.next.startswith("watch longer, or send more: at this rate --for ")


def stretch(latencies_ms: Sequence[float]) -> Summary:
    return baseline(picture(routes=[a_route("GET /", latencies_ms)] if latencies_ms else [], window_s=30.0))


def test_every_stretch_is_to_keep_what_is_promised_for_a_time() -> None:
    """One that does not is a miss however good the rest is; without a request it hurts nobody."""
    objective = parse_objective("p95<200ms for 30s")
    good, bad, quiet = stretch([10.0] * 500), stretch([10.0] * 250 + [500.0] * 250), stretch([])
    whole = picture(routes=[a_route("GET /", [10.0] * 5000 + [500.0] * 100)])

    def said(*stretches: Summary) -> Judged:
        return judge_all([objective], whole, (), {30.0: stretches})[0]

    assert [said(good).verdict, said(good, quiet, good).verdict] == ["met", "met"]
    worst = said(good, bad, good)
    assert (worst.verdict, worst.n) == ("missed", 500)
    assert worst.value == pytest.approx(500.0, rel=0.01)
    assert said(quiet).verdict == said().verdict == "undecided"
    assert judge_all([msgspec.structs.replace(objective, for_s=None)], whole, (), {})[0].verdict == "met"


def test_a_rate_that_is_to_last_is_missed_where_nobody_was_served() -> None:
    """Thirty seconds without a request are no rate."""
    objective = parse_objective("rps>=10 for 30s")
    whole = picture(routes=[a_route("GET /", [10.0] * 5000)])
    stretches = {30.0: [stretch([10.0] * 500), msgspec.structs.replace(whole, routes=(), window_s=30.0)]}
    assert judge_all([objective], whole, (), stretches)[0].verdict == "missed"


def test_a_check_is_as_good_as_its_worst_target() -> None:
    """What is missed is missed, whatever else can't be told."""
    shop = picture(routes=[a_route("GET /", [10.0] * 30)])
    met, missed, undecided = (judged(each, shop) for each in ("requests>=30", "requests>=31", "p95<1s"))
    assert overall([met]) == "met"
    assert overall([met, undecided]) == "undecided"
    assert overall([undecided, missed, met]) == "missed"
