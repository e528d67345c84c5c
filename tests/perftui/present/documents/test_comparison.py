"""What `perftui compare` says, to people, scripts and pull requests."""

from __future__ import annotations

import random

import pytest

from perftui.check.against import held_against
from perftui.check.judge import overall
from perftui.findings.differences import Differences, differences
from perftui.model.comparison import Comparison, compare
from perftui.model.summary import Summary
from perftui.present.documents.comparison import (
    LEGEND,
    comparison_document,
    comparison_markdown,
    comparison_text,
)
from perftui.present.documents.verdicts import verdicts_text
from tests.perftui.findings.pictures import a_route, picture

RNG = random.Random(4)


def times(number: int, factor: float = 1.0) -> list[float]:
    return [factor * RNG.lognormvariate(3.0, 0.5) for _ in range(number)]


V1 = picture(
    routes=[
        a_route("GET /same", times(3000)),
        a_route("GET /slower", times(2000)),
        a_route("GET /faster", times(2000)),
        a_route("GET /rare", times(9)),
        a_route("GET /items/{id}", times(500)),
        a_route("GET /old", times(300)),
    ]
)
V2 = picture(
    routes=[
        a_route("GET /same", times(3000)),
        a_route("GET /slower", times(2000, 1.6)),
        a_route("GET /faster", times(2000, 0.5)),
        a_route("GET /rare", times(9)),
        a_route("GET /items/{item_id}", times(500)),
        a_route("GET /new|er", times(300), errors=200),
    ]
)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """What changed from the first to the second."""
    return compare(V1, V2)


@pytest.fixture(scope="module")
def findings() -> Differences:
    """Its findings."""
    return differences(V1, V2)


def test_the_document_has_the_keys_of_the_contract(comparison: Comparison, findings: Differences) -> None:
    """Each route has its verdict, and each figure before and after."""
    said = comparison_document(comparison, V1, V2, findings)
    assert (said["a"]["requests"], said["worse"], said["better"]) == (7809, 1, 1)
    assert [each["kind"] for each in said["findings"]["came"]] == ["error-burst"]
    assert said["findings"]["went"] == []
    verdicts = {row["route"]: row["verdict"] for row in said["routes"]}
    assert verdicts == {
        "GET /slower": "worse",
        "GET /faster": "better",
        "GET /same": "same",
        "GET /items/{item_id}": verdicts["GET /items/{item_id}"],
        "GET /rare": "too-few",
        "GET /new|er": "new",
        "GET /old": "gone",
    }
    slower = said["routes"][0]
    for key in ("p50_ms", "p95_ms", "p99_ms", "rps", "error_rate", "sql_per_request"):
        assert len(slower[key]) == 2
    assert slower["p95_ms"][1] == pytest.approx(1.6 * slower["p95_ms"][0], rel=0.15)
    assert slower["changed"]["p95_ms"] == "up"
    new = next(row for row in said["routes"] if row["route"] == "GET /new|er")
    assert new["p95_ms"][0] is None
    renamed = next(row for row in said["routes"] if row["route"] == "GET /items/{item_id}")
    assert renamed["was"] == "GET /items/{id}"


def test_the_text_marks_noise_and_what_is_too_few(comparison: Comparison, findings: Differences) -> None:
    """What got worse or better is told in figures below."""
    lines = comparison_text(comparison, V1, V2, findings)
    text = "\n".join(lines)
    rows = {
        line.split()[2]: line.split() for line in lines if line.startswith(("worse  ", "same", "too-few"))
    }
    assert rows["/rare"][0] == "too-few"
    assert "few" in rows["/rare"]
    assert "=" in rows["/same"]
    assert "worse  GET /slower: p50 " in text
    assert "renamed GET /items/{id}: now GET /items/{item_id}" in text
    assert "+ finding came: error-burst GET /new|er" in text
    assert lines[-1] == LEGEND
    assert lines[-2].startswith("1 worse, 1 better, 1 new, 1 gone, ")


def test_markdown_tells_what_changed_and_nothing_of_it_is_markup(
    comparison: Comparison, findings: Differences
) -> None:
    """A bar in a route would end its cell, and a name may be anything."""
    lines = comparison_markdown(comparison, V1, V2, findings)
    rows = [line for line in lines if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[:3]] == ["| ", "| worse", "| better"]
    assert {row.split(" | ")[0] for row in rows[3:]} == {"| new", "| gone"}
    assert any("`GET /new\\|er`" in row for row in rows)
    assert "**" in rows[1]
    evil = picture(target="`x`<img src=x>", routes=[a_route("GET /`|<b>", times(100))])
    marked = "\n".join(comparison_markdown(compare(evil, evil), evil, evil, Differences()))
    assert "``" not in marked


def test_a_comparison_is_a_judgement(comparison: Comparison) -> None:
    """Every figure that got worse is a miss, with what it was as its bound; what is too few is said."""
    judged = held_against(comparison, V1)
    assert overall(judged) == "missed"
    whole, *missed = judged
    assert (whole.verdict, whole.value, whole.note) == (
        "missed", 1.0, "1 of 7 routes had too few requests to be compared",
    )  # fmt: skip
    assert {each.objective.scope for each in missed} == {"GET /slower"}
    p95 = next(each for each in missed if each.objective.metric == "p95")
    assert p95.value is not None
    assert p95.value > p95.objective.bound
    assert any("p95 as in localhost:8000" in line for line in verdicts_text(V2, judged))


def test_of_what_has_not_changed_nothing_is_missed() -> None:
    """And without a route in common nothing can be told."""
    assert [each.verdict for each in held_against(compare(V1, V1), V1)] == ["met"]
    (nothing,) = held_against(compare(V1, picture(routes=[a_route("GET /x", times(99))])), V1)
    assert nothing.verdict == "undecided"


def test_a_finding_near_its_threshold_in_both_neither_comes_nor_goes() -> None:
    """What would stand if it had stood before is no news."""

    def failing(errors: int) -> Summary:
        return picture(routes=[a_route("GET /", [10.0] * 1000, errors=errors)])

    assert [each.kind for each in differences(failing(0), failing(500)).came] == ["error-burst"]
    assert [each.kind for each in differences(failing(500), failing(0)).went] == ["error-burst"]
    assert differences(failing(500), failing(400)) == Differences()
