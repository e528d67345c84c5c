"""A cause silences its symptoms, pair by pair, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from perftui.findings.causes import CAUSES, OF_WHOLE_WORKERS, PAIRS, Pair, settled
from perftui.findings.find import RULES
from perftui.model.happenings import Finding
from tests.perftui.findings.pictures import picture

NOT_YET = {"missing-index"}
"""Kinds that have no rule yet."""

MEETING: dict[str, dict[str, Any]] = {
    "worker": {"worker": "web-1/1/0"},
    "route": {"route": "GET /a"},
    "statement": {"statement": "f1"},
    "cache": {"cache": "users"},
    "anywhere": {},
}
ELSEWHERE: dict[str, dict[str, Any]] = {
    "worker": {"worker": "web-1/2/0"},
    "route": {"route": "GET /b"},
    "statement": {"statement": "f2"},
    "cache": {"cache": "orders"},
}
EVIDENCE: dict[str, dict[str, Any]] = {
    "worker-imbalance": {"in": ["latency"]},
    "loop-blocked": {"share_of_worker": 0.8, "longest_ms": 120.0, "blocks": 3, "while_building": 3},
    "cpu-throttled": {"quota_cores": 0.3},
    "db-lock": {"waiting": [{"route": "stuck-request"}]},
}
OTHERWISE: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("loop-blocked", "cpu-saturated"): ("loop-blocked", {"share_of_worker": 0.1}),
    ("db-lock", "stuck-request"): ("db-lock", {"waiting": [{"route": "another"}]}),
    ("cpu-throttled", "loop-blocked"): ("loop-blocked", {"longest_ms": 900.0}),
    ("slow-serialization", "loop-blocked"): ("loop-blocked", {"blocks": 3, "while_building": 2}),
    ("pool-exhausted", "worker-imbalance"): ("worker-imbalance", {"in": ["requests"]}),
    **{
        (cause, "worker-imbalance"): ("worker-imbalance", {"in": ["errors"]})
        for cause in (
            *("loop-blocked", "gc-pause", "cpu-throttled", "cpu-saturated"),
            *("threadpool-exhausted", "queueing"),
        )
    },
}
"""What must be otherwise for a pair with a condition not to hold: of which of the two, and what."""


def name(pair: Pair) -> str:
    return f"{pair.cause}/{pair.symptom}"


each_pair = pytest.mark.parametrize("pair", PAIRS, ids=name)
each_that_meets = pytest.mark.parametrize(
    "pair", [pair for pair in PAIRS if pair.meet in ELSEWHERE], ids=name
)


def a_finding(kind: str, evidence: dict[str, Any] | None = None, **more: Any) -> Finding:
    given = EVIDENCE.get(kind, {}) if evidence is None else evidence
    return Finding(kind, "medium", kind, "", given, "", **more)


def left(*findings: Finding) -> list[str]:
    """Return the kinds that are left when all is settled."""
    return [finding.kind for finding in settled(findings, picture())]


@each_pair
def test_a_cause_silences_its_symptom(pair: Pair) -> None:
    """One trouble is told once."""
    meeting = MEETING[pair.meet]
    assert left(a_finding(pair.cause, **meeting), a_finding(pair.symptom, **meeting)) == [pair.cause]


@each_pair
def test_a_symptom_without_its_cause_stands(pair: Pair) -> None:
    """Alone it is all there is to say."""
    assert left(a_finding(pair.symptom, **MEETING[pair.meet])) == [pair.symptom]


@pytest.mark.parametrize(
    "pair",
    [pair for pair in PAIRS if pair.meet in ELSEWHERE],
    ids=lambda pair: f"{pair.cause}/{pair.symptom}",
)
def test_a_cause_somewhere_else_silences_nothing(pair: Pair) -> None:
    """Another worker, route, statement or cache has a trouble of its own."""
    cause = a_finding(pair.cause, **MEETING[pair.meet])
    assert left(cause, a_finding(pair.symptom, **ELSEWHERE[pair.meet])) == [pair.cause, pair.symptom]


@pytest.mark.parametrize(
    ("kinds", "otherwise"), OTHERWISE.items(), ids=lambda value: "/".join(map(str, value))
)
def test_a_symptom_that_this_cause_does_not_make_stands(
    kinds: tuple[str, str], otherwise: tuple[str, dict[str, Any]]
) -> None:
    """Errors of one worker, a load that is uneven, blocks that are a tenth of the time: told beside it."""
    cause, symptom = kinds
    meeting = next(MEETING[pair.meet] for pair in PAIRS if (pair.cause, pair.symptom) == kinds)
    findings = [
        a_finding(kind, otherwise[1] if kind == otherwise[0] else None, **meeting)
        for kind in (cause, symptom)
    ]
    assert left(*findings) == [cause, symptom]


def test_every_condition_has_a_near_miss() -> None:
    """A pair with a condition is tested both ways."""
    with_condition = {(pair.cause, pair.symptom) for pair in PAIRS if pair.only_if.__name__ != "_always"}
    assert with_condition == set(OTHERWISE)


def test_all_workers_of_a_symptom_must_have_a_cause() -> None:
    """Two workers queue: one collects garbage, the other's loop is held; a third has no reason."""
    causes = [a_finding("gc-pause", worker="w1"), a_finding("loop-blocked", workers=("w2",))]
    assert "queueing" not in left(*causes, a_finding("queueing", workers=("w1", "w2")))
    assert "queueing" in left(*causes, a_finding("queueing", workers=("w1", "w2", "w3")))


def test_what_is_silenced_silences_too() -> None:
    """The held loop explains the queue, and both explain why one worker is slower."""
    on: dict[str, Any] = {"worker": "w1"}
    found = [a_finding(kind, **on) for kind in ("loop-blocked", "queueing", "worker-imbalance")]
    assert left(*found) == ["loop-blocked"]


def test_the_table_speaks_of_kinds_there_are() -> None:
    """A kind that is misspelt would never meet anything; nothing causes itself, in a circle neither."""
    kinds = set(RULES) | NOT_YET
    assert {kind for pair in PAIRS for kind in (pair.cause, pair.symptom)} <= kinds
    assert set(CAUSES) | OF_WHOLE_WORKERS <= kinds
    pairs = {(pair.cause, pair.symptom) for pair in PAIRS}
    assert len(pairs) == len(PAIRS)
    assert not [pair for pair in pairs if pair[::-1] in pairs or pair[0] == pair[1]]
