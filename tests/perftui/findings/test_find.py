"""All rules together, and over time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from perftui.findings import rule
from perftui.findings.find import MAX_OF_A_KIND, MAX_SENTENCE, RULES, find
from perftui.findings.steady import GAP_S, Steady
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.present.documents.snapshot import document
from perftui_agent.wire.requests import ExceptionCount, RepeatedShape
from tests.perftui.findings.pictures import a_block, a_query, a_route, a_worker, picture
from tests.support.fake_feed import FakeFeed
from tests.support.frames import T

PROMISED = {
    "slo-breach",
    "loop-blocked",
    "n-plus-one",
    "repeated-query",
    "slow-query",
    "missing-index",
    "pool-exhausted",
    "threadpool-exhausted",
    "low-hit-ratio",
    "cache-thrash",
    "cache-stampede",
    "large-payload",
    "slow-serialization",
    "error-burst",
    "stuck-request",
    "worker-imbalance",
    "cpu-saturated",
    "cpu-throttled",
    "memory-growth",
    "gc-pause",
    "worker-lost",
    "worker-restarted",
    "queueing",
    "backlog-overflow",
    "upstream-slow",
    "upstream-errors",
    "client-pool-exhausted",
    "chatty-upstream",
    "client-per-request",
    "slow-messages",
    "db-lock",
    "idle-in-transaction",
    "db-connections",
}
"""The kinds of the public interface."""

NOT_YET: dict[str, str] = {}

TWO_IN_A_FILE = {"worker-lost": "worker_gone", "worker-restarted": "worker_gone"}


def failing(errors: int, at: float = T) -> Summary:
    """Return a picture in which so many of a thousand payments failed."""
    return picture(routes=[a_route("POST /pay", [40.0] * 1000, errors=errors)], at=at)


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    """Return the kinds of findings, in their order."""
    return [finding.kind for finding in findings]


def test_every_promised_kind_has_a_rule() -> None:
    """A kind is checked for, or is named among those that aren't yet."""
    assert set(RULES) | set(NOT_YET) == PROMISED
    assert not set(RULES) & set(NOT_YET)


def test_every_kind_has_the_file_of_its_name() -> None:
    """`n-plus-one` is checked in `n_plus_one.py`."""
    files = {kind: check.__module__.rpartition(".")[2] for kind, check in RULES.items()}
    assert files == {kind: TWO_IN_A_FILE.get(kind, kind.replace("-", "_")) for kind in RULES}
    others = {"__init__", "causes", "figures", "find", "over_time", "rule", "steady", "upstreams", "workers"}
    others |= {"beginnings", "catalogue", "cost", "criteria", "databases", "differences", "turns", "why_not"}
    on_disk = {path.stem for path in Path(rule.__file__).parent.glob("*.py")}
    assert on_disk == set(files.values()) | others


def test_a_healthy_service_shows_none() -> None:
    """Busy, varied, and well."""
    assert find(FakeFeed().summary(60.0)) == ()


def test_nothing_known_is_nothing_wrong() -> None:
    """An empty picture, a service without traffic, one that is still connecting."""
    assert find(picture()) == ()
    assert find(FakeFeed(troubles=["idle"]).summary(60.0)) == ()
    assert find(FakeFeed(troubles=["connecting"]).summary(60.0)) == ()


def test_the_worst_comes_first() -> None:
    """By severity, then by what it costs."""
    routes = [
        a_route("GET /a", [40.0] * 1000, errors=20),
        a_route("GET /b", [40.0] * 1000, errors=40),
        a_route("GET /c", [40.0] * 100, errors=30),
    ]
    found = find(picture(routes=routes, incidents=[a_block(150.0)] * 3))
    assert [(each.severity, each.subject) for each in found] == [
        ("high", "GET /c"),
        ("medium", "GET /b"),
        ("medium", "GET /a"),
        ("low", "app/reports.py:42 build"),
    ]


def test_findings_of_a_kind_are_bounded() -> None:
    """A hundred failing routes are one cause."""
    routes = [a_route(f"GET /{place}", errors=50) for place in range(100)]
    assert len(find(picture(routes=routes))) == MAX_OF_A_KIND


def everything() -> Iterator[Finding]:
    """Yield findings of several kinds, with texts as long as the model lets them be."""
    long = "x" * 2000
    shape = RepeatedShape(fingerprint="f2", call_site=long, requests=40, executions=2000, distinct_binds=2000)
    error = ExceptionCount(type=long, place=long, count=50)
    route = a_route("GET /", [500.0] * 100, errors=50, exceptions=(error,), repeats=(shape,))
    query = a_query(
        [300.0] * 400, slow=400, same_binds=390, statement=f"SELECT {long} FROM t", call_site=long
    )
    blocks = [a_block(2000.0, f"{long}:1 f")]
    yield from find(picture(routes=[route], queries=(query,), incidents=blocks, workers=(a_worker(),)))


def test_sentences_are_bounded_and_on_one_line() -> None:
    """Names and statements from outside never fill a screen."""
    findings = list(everything())
    assert {each.kind for each in findings} == {
        "loop-blocked", "n-plus-one", "slow-query", "repeated-query", "error-burst"
    }  # fmt: skip
    for finding in findings:
        assert len(finding.sentence) <= MAX_SENTENCE
        assert len(finding.subject) <= rule.MAX_SUBJECT
        assert len(finding.advice) <= MAX_SENTENCE
        assert (finding.sentence + finding.advice).isprintable()


def test_evidence_and_snapshot_are_json() -> None:
    """What the document promises, in the order of the screen."""
    summary = failing(30)
    (finding,) = json.loads(json.dumps(document(summary)))["findings"]
    assert set(finding) == {"kind", "severity", "subject", "sentence", "evidence", "advice"}
    assert finding["kind"] == "error-burst"
    for each in everything():
        json.dumps(each.evidence)


def test_a_finding_stays_until_it_falls_under_its_lower_threshold() -> None:
    """Around 1 % of failures it neither comes nor goes with every picture."""
    steady, shown = Steady(), []
    for second, errors in enumerate([8, 12, 8, 9, 11, 7, 4, 8, 9]):
        steady, found = steady.next(failing(errors, T + second))
        shown.append(bool(found))
    assert shown == [False, True, True, True, True, True, False, False, False]


def test_what_has_just_begun_is_not_outweighed_by_what_was_before() -> None:
    """Told once, as severe as it is in the last seconds; it stays for as long as the whole window has it."""
    steady, (told,) = Steady().next(failing(5), failing(60))
    assert (told.kind, told.severity) == ("error-burst", "high")
    steady, (told,) = steady.next(failing(8, T + 1), failing(0, T + 1))
    assert (told.severity, told.since) == ("medium", T)
    assert steady.next(failing(4, T + 2), failing(0, T + 2))[1] == ()


def test_a_finding_knows_since_when() -> None:
    """From its first picture on, as long as it stays; a new one begins anew."""
    steady, since = Steady(), []
    for second, errors in enumerate([12, 12, 8, 2, 12]):
        steady, found = steady.next(failing(errors, T + second))
        since.append(found[0].since if found else None)
    assert since == [T, T, T, None, T + 4]


def test_what_the_evidence_knows_of_the_beginning_counts() -> None:
    """A block that began before the first look began then; later looks don't forget it."""
    early = picture(incidents=[a_block(2000.0, ago_s=50.0), a_block(1500.0, ago_s=5.0)])
    steady, (first,) = Steady().next(early)
    _, (second,) = steady.next(replace(early, at=T + 30.0, incidents=early.incidents[1:]))
    assert first.since == second.since == T - 50.0


def test_severity_does_not_flicker() -> None:
    """Around 5 % of failures it stays high once it was."""
    steady, severities = Steady(), []
    for second, errors in enumerate([45, 52, 45, 49, 30]):
        steady, (found,) = steady.next(failing(errors, T + second))
        severities.append(found.severity)
    assert severities == ["medium", "high", "high", "high", "medium"]


def test_stepping_back_in_time_judges_afresh() -> None:
    """What stood at noon says nothing about eleven; nor does what stood long ago."""
    steady, found = Steady().next(failing(12, T))
    assert kinds(found) == ["error-burst"]
    assert steady.next(failing(8, T - 60.0))[1] == ()
    assert steady.next(failing(8, T + GAP_S + 1))[1] == ()
    assert kinds(steady.next(failing(8, T + 1))[1]) == ["error-burst"]


def test_a_place_whose_line_moves_is_the_same_finding() -> None:
    """A function is sampled at another line a second later."""
    steady, (before,) = Steady().next(picture(incidents=[a_block(1500.0, "app/a.py:40 build")]))
    moved = picture(incidents=[a_block(1500.0, "app/a.py:44 build")], at=T + 1.0)
    _, (after,) = steady.next(moved)
    assert before.identity == after.identity
    assert after.since == before.since
