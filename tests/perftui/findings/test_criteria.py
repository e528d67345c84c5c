"""What each kind of finding goes by, and why a route has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from perftui.findings.catalogue import CRITERIA
from perftui.findings.criteria import At
from perftui.findings.find import RULES, find
from perftui.findings.rule import Bar
from perftui.findings.why_not import why_not
from perftui.model.happenings import SloVerdict
from perftui.present.documents.criteria import criteria_document, criteria_text, manual, overview
from perftui_agent.wire.requests import RepeatedShape
from tests.perftui.findings.pictures import a_route, picture

MANUAL = Path(__file__).parents[3] / "docs" / "findings.md"


@pytest.mark.parametrize("kind", RULES)
def test_every_kind_says_what_it_goes_by(kind: str) -> None:
    """What it means, what it is about, and all that has to hold; one that does not yet, what it means."""
    criteria = CRITERIA[kind]
    assert criteria.kind == kind
    assert criteria.means
    assert bool(criteria.subject) is bool(criteria.when)


def test_the_manual_is_written_from_the_rules() -> None:
    """It says what `python -m perftui.present.documents.criteria docs/findings.md` writes."""
    assert MANUAL.read_text(encoding="utf-8") == manual(), "run: python -m perftui.present.documents.criteria"


def test_thresholds_are_those_that_the_rules_compare_with() -> None:
    """A bar of the criteria is the rule's own, or made of one of its numbers: none is written down twice."""
    for kind, criteria in CRITERIA.items():
        module = RULES[kind].__globals__
        own = [each for each in module.values() if isinstance(each, Bar)]
        numbers = {each for each in module.values() if isinstance(each, int | float)}
        for at in criteria.when:
            if isinstance(at, At):
                assert at.bar in own or at.bar.enter in numbers, (kind, at.what)


def test_a_kind_is_told_to_people_and_scripts() -> None:
    """With the threshold at which it goes again, and what silences it."""
    text = "\n".join(criteria_text(CRITERIA["queueing"]))
    assert "p95 of that wait: 50 ms and more (until it is below 30 ms)" in text
    assert "by loop-blocked: requests wait for the loop that is held" in text
    said = criteria_document(CRITERIA["queueing"])
    assert said["when"][1] == {
        "says": "p95 of that wait: 50 ms and more (until it is below 30 ms)",
        "enter": 50.0,
        "leave": 30.0,
        "unit": "ms",
    }
    assert "loop-blocked" in said["symptom_of"]
    assert len(overview()) == len(CRITERIA)


def test_why_a_route_has_no_finding_is_told_by_how_near_it_is() -> None:
    """The nearest first, with each figure beside its threshold; what is found before all."""
    repeats = (RepeatedShape("f", "app/crud.py:1 f", 4, 8, 8, 1_000_000),)
    orders = a_route("GET /orders", [20.0] * 1000, errors=4, repeats=repeats, bytes_p50=51_200)
    shop = picture(routes=[orders], slo=[SloVerdict("p95<40ms", "GET /orders", 20.0, True, 40.0, 1000)])
    looked = {each.kind: each for each in why_not("GET /orders", shop, find(shop))}
    assert looked["error-burst"].how_near == "40 %"
    assert looked["error-burst"].figures[0] == "of the requests that fail 0.4 % of 1.0 %"
    assert looked["slo-breach"].figures == ("p95<40ms: 50 % of it",)
    assert looked["large-payload"].near == pytest.approx(0.1)
    assert looked["n-plus-one"].near == pytest.approx(0.4)
    assert next(iter(looked)) == "slo-breach"
    failing = picture(routes=[a_route("GET /orders", [20.0] * 1000, errors=400)])
    first = why_not("GET /orders", failing, find(failing))[0]
    assert (first.kind, first.is_found, first.how_near) == ("error-burst", True, "found")
    assert why_not("GET /never", shop, ()) == ()
