"""Pictures of every stretch of a watch."""

from __future__ import annotations

from perftui.check.grammar import parse_objective
from perftui.check.judge import judge_all
from perftui.commands.stretches import Stretches
from perftui.model.dashboard import Dashboard
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from tests.support.frames import T, frame, joined, received, route, worker

A = worker(1)


def followed(seconds_ms: list[float], length: float) -> tuple[Stretches, Dashboard]:
    """Watch a worker whose 40 requests of each second took so long."""
    stretches, dashboard = Stretches({length}), merge(Dashboard("8000"), joined(A))
    for second, ms in enumerate(seconds_ms, 1):
        sent = frame(second, T + second, [route("GET /", [ms] * 40)])
        dashboard = merge(dashboard, received(A, sent))
        stretches.follow(dashboard)
    return stretches, dashboard


def test_there_is_a_stretch_for_every_second_from_the_first_whole_one_on() -> None:
    """Of 150 seconds 121 of half a minute, each with all its requests, however old it is by then."""
    stretches, _ = followed([5.0] * 150, 30.0)
    taken = stretches.pictures()[30.0]
    assert len(taken) == 121
    assert {each.totals.requests for each in taken} == {1200}
    assert [each.at for each in taken] == [float(T + second) for second in range(30, 151)]


def test_a_bad_second_is_no_miss_and_two_are() -> None:
    """Of thirty, one is 3 % of the requests and two are 7: the p95 of the half minute says so."""
    objective = parse_objective("p95<200ms for 30s")
    good = [5.0] * 45
    for bad, verdict in ((0, "met"), (1, "met"), (4, "missed")):
        stretches, dashboard = followed([*good, *[900.0] * bad, *good], 30.0)
        whole = summarize(dashboard, T + 95.0, 95)
        (judged,) = judge_all([objective], whole, (), stretches.pictures())
        assert judged.verdict == verdict, bad
        assert judged.n == 1200


def test_without_a_frame_there_is_no_stretch() -> None:
    """And none of a watch that was too short."""
    assert Stretches({30.0}).pictures() == {30.0: []}
    assert followed([5.0] * 29, 30.0)[0].pictures() == {30.0: []}
