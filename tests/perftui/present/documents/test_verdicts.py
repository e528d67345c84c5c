"""What `perftui check` says, to people, scripts, CI systems and GitHub."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest

from perftui.check.grammar import parse_objective
from perftui.check.judge import Judged, judge_all
from perftui.check.reasons import explained
from perftui.findings.find import find
from perftui.model.summary import Summary
from perftui.present.documents.annotations import workflow_commands
from perftui.present.documents.junit import junit
from perftui.present.documents.verdicts import verdicts_document, verdicts_text
from tests.perftui.findings.pictures import a_route, picture

SHOP = picture(
    routes=[
        a_route("GET /items", [10.0] * 1000),
        a_route("GET /bad", [20.0] * 500, errors=300),
        a_route("GET /rare", [20.0] * 21),
    ]
)


@pytest.fixture
def judged() -> list[Judged]:
    """One that is met, one that is missed, one that can't be told."""
    texts = ("GET /items: p95<200ms", "GET /bad: errors<1%", "GET /rare: p99<1s")
    found = find(SHOP)
    objectives = [parse_objective(text) for text in texts]
    return [explained(each, SHOP, found) for each in judge_all(objectives, SHOP, found, {})]


def test_the_document_has_the_keys_of_the_contract(judged: list[Judged]) -> None:
    """Values and bounds in milliseconds and ratios; what can't be bounded is null."""
    said = verdicts_document(SHOP, judged)
    assert (said["verdict"], said["target"], said["requests"]) == ("missed", "localhost:8000", 1521)
    met, missed, undecided = said["targets"]
    assert {"slo", "scope", "value", "bound", "n", "verdict", "cause", "next"} <= set(met)
    assert (met["slo"], met["scope"], met["bound"], met["n"]) == ("p95<200ms", "GET /items", 200.0, 1000)
    assert (missed["value"], missed["bound"], missed["verdict"]) == (0.6, 0.01, "missed")
    assert missed["cause"].startswith("error-burst GET /bad")
    assert (undecided["interval"][1], undecided["needs"]) == (None, pytest.approx(299, abs=8))


def test_the_text_tells_each_target_and_why(judged: list[Judged]) -> None:
    """What is met is a line of the table; the others say why, and what to do next."""
    lines = verdicts_text(SHOP, judged)
    assert lines[1].split()[:4] == ["✓", "met", "GET", "/items"]
    text = "\n".join(lines)
    assert "✗ missed  GET /bad: errors<1%: 60 %\n    why  error-burst GET /bad" in text
    assert "\n    next " in text
    assert lines[-1] == "missed: 1 met, 1 missed, 1 undecided; 1,521 requests in 60 s"


@pytest.mark.parametrize(
    ("undecided", "counts", "kind"),
    [
        (None, ("1", "1", "0"), "error"),
        ("fail", ("2", "0", "0"), "failure"),
        ("pass", ("1", "0", "1"), "skipped"),
    ],
)
def test_junit_has_a_case_for_each_target(
    judged: list[Judged], undecided: str | None, counts: tuple[str, ...], kind: str
) -> None:
    """What is undecided is what the exit code makes of it."""
    (suite,) = Xml.fromstring(junit(SHOP, judged, undecided))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "3", *counts,
    )  # fmt: skip
    met, missed, rare = suite
    assert (met.get("classname"), met.get("name"), len(met)) == ("GET /items", "p95<200ms", 0)
    assert missed[0].tag == "failure"
    assert "error-burst" in (missed[0].text or "")
    assert rare[0].tag == kind


def test_github_is_told_of_what_is_not_met(judged: list[Judged]) -> None:
    """Each in one line that it can read: no colon or comma in a title, no percent sign at all."""
    missed, undecided = workflow_commands(judged, "pass")
    assert missed.startswith(
        "::error title=perftui check%3A GET /bad%3A errors<1%25::GET /bad: errors<1%25 is"
    )
    assert undecided.startswith("::warning title=")
    assert workflow_commands(judged, None)[1].startswith("::error title=")


def test_what_comes_from_outside_is_text_in_every_form(judged: list[Judged]) -> None:
    """A route may be called anything: no escape, no second line, no markup, no command."""
    evil = "GET /\x1b[31m\n::error::x<b>&"
    shop: Summary = picture(routes=[a_route(evil, [900.0] * 500)])
    (found,) = judge_all([parse_objective("p95<200ms")], shop, (), {})
    hostile = [
        Judged(parse_objective("p95<1s"), "missed", 2.0, 30, cause=f"x {evil}", next=evil), found, *judged
    ]  # fmt: skip
    assert all("\x1b" not in line and "\n" not in line for line in verdicts_text(shop, hostile))
    assert all("\x1b" not in line and "\n" not in line for line in workflow_commands(hostile, None))
    assert len(Xml.fromstring(junit(shop, hostile, None))[0]) == 5
