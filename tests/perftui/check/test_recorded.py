"""How often checks and comparisons are wrong: a part of `python -m tests.benchmarks judgements`."""

from __future__ import annotations

import random

import pytest

from perftui.check.against import held_against
from perftui.check.judge import overall
from perftui.model.comparison import compare
from tests.benchmarks.judgements import CROWDED, QUIET, against_itself, halves, marked, versions, well_known


@pytest.mark.parametrize(("name", "tries"), [(CROWDED, 30), (QUIET, 100)])
def test_a_recording_split_in_halves_marks_nothing(name: str, tries: int) -> None:
    """However its seconds are dealt out: it is the same code, be it on a machine that others use as well."""
    rng = random.Random(17)
    assert [each for each in (marked(compare(*halves(rng, name))) for _ in range(tries)) if each] == []


def test_of_a_recorded_service_a_route_that_is_15_percent_slower_is_caught() -> None:
    """Of 2,000 requests of each route, and where nothing has changed nothing is."""
    rng = random.Random(18)
    for trial, route in enumerate(list(well_known()) * 3):
        before, after = versions(rng, route, 1.15 if trial % 2 else 1.0)
        comparison = compare(before, after)
        assert marked(comparison) == ([route] if trial % 2 else [])
        assert overall(held_against(comparison, before)) == ("missed" if trial % 2 else "met")


def test_a_recorded_p95_that_grew_by_15_percent_is_missed() -> None:
    """With the bound where it was, of 2,000 requests; unchanged it is not."""
    rng = random.Random(19)
    routes = list(well_known())[:4]
    slower = [against_itself(rng, route, 1.15) for route in routes for _ in range(10)]
    same = [against_itself(rng, route, 1.0) for route in routes for _ in range(10)]
    assert slower.count("missed") >= 38
    assert same.count("missed") == 0
