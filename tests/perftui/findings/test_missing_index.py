"""A statement that is slow for want of an index, as its plan says."""

from __future__ import annotations

import pytest

from perftui.findings.find import find
from tests.perftui.findings.pictures import a_query, a_route, found, only, picture
from tests.support.fake_plan import CREATE, SENTENCE, note_of

KIND = "missing-index"


def test_table_columns_and_what_to_try_are_named() -> None:
    """The subject is the index that is missing; the sentence says why, the advice ends with what to run."""
    query = a_query([812.0] * 40, slow=40)
    finding = only(
        KIND, picture(queries=(query,), plans={"f1": note_of("f1")}, routes=[a_route("GET /items/{item_id}")])
    )
    assert finding.subject == "search_terms (term)"
    assert finding.sentence.startswith(f"{SENTENCE}; p95 810 ms, 40× slow of 40")
    assert finding.advice.endswith(CREATE)
    assert (finding.statement, finding.severity) == ("f1", "medium")
    assert finding.evidence["columns"] == ["term"]
    assert finding.evidence["table"] == "search_terms"


def test_it_silences_the_slow_statement_that_it_explains() -> None:
    """`slow-query` of the same statement is its symptom; of another one it stands."""
    one, two = a_query([812.0] * 40, slow=40), a_query([700.0] * 40, slow=40, fingerprint="f2")
    kinds = [
        (each.kind, each.statement) for each in find(picture(queries=(one, two), plans={"f1": note_of("f1")}))
    ]
    assert (KIND, "f1") in kinds
    assert ("slow-query", "f1") not in kinds
    assert ("slow-query", "f2") in kinds


def test_a_plan_that_wants_nothing_is_healthy() -> None:
    """And the slow statement's advice says what its plan is."""
    told = picture(queries=(a_query([812.0] * 40, slow=40),), plans={"f1": note_of("f1", missing=False)})
    assert not found(KIND, told)
    assert only("slow-query", told).advice.startswith("most are kept. No index helps here")


def test_a_statement_that_is_quick_again_is_healthy() -> None:
    """What was found of its plan does not make it slow; nor do a few of very many."""
    plans = {"f1": note_of("f1")}
    assert not found(KIND, picture(queries=(a_query([2.0] * 40, slow=0),), plans=plans))
    assert not found(KIND, picture(queries=(a_query([2.0] * 990 + [150.0] * 10, slow=10),), plans=plans))


def test_one_index_is_told_once() -> None:
    """Two statements that want the same one: the costlier speaks for it, and neither is told of beside it."""
    costly = a_query([900.0] * 40, slow=40)
    other = a_query([300.0] * 40, slow=40, fingerprint="f2", routes=("GET /count",))
    told = picture(queries=(costly, other), plans={"f1": note_of("f1"), "f2": note_of("f2")})
    (finding,) = find(told)
    assert (finding.kind, finding.statement, finding.statements) == (KIND, "f1", ("f1", "f2"))
    assert finding.sentence.endswith("; also for 1 other statement")
    assert finding.routes == ("GET /items/{item_id}", "GET /count")
    assert finding.impact == pytest.approx(40 * 1200.0 / 60, rel=0.02)
