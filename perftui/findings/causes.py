"""Which findings are only what others look like: a cause silences its symptoms, and a missed target names it.

`PAIRS` is all there is to know; each says where the two must meet. A symptom that is silenced would send
whoever reads it to a second place for one trouble.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from perftui.findings.rule import RANK
from perftui.model.happenings import Finding
from perftui.model.route_summary import RouteSummary
from perftui.model.slo import ALL
from perftui.model.summary import Summary
from perftui.record import Record

Meeting: TypeAlias = Literal["worker", "route", "statement", "cache", "anywhere"]
"""What a cause and its symptom have in common. `worker`: every worker of the symptom has such a cause."""


def _always(_cause: Finding, _symptom: Finding) -> bool:
    return True


def _is_only_latency(_cause: Finding, symptom: Finding) -> bool:
    return symptom.evidence.get("in") == ["latency"]


def _is_not_load(_cause: Finding, symptom: Finding) -> bool:
    return "requests" not in symptom.evidence.get("in", ())


def _is_waiting(cause: Finding, symptom: Finding) -> bool:
    return any(each.get("route") == symptom.subject for each in cause.evidence.get("waiting", ()))


def _holds_most_of_the_time(cause: Finding, _symptom: Finding) -> bool:
    share = cause.evidence.get("share_of_worker")
    return isinstance(share, float) and share >= MOST


def _is_mostly_stops(cause: Finding, symptom: Finding) -> bool:
    cores, longest_ms = cause.evidence.get("quota_cores"), symptom.evidence.get("longest_ms")
    if not isinstance(cores, float) or not isinstance(longest_ms, float):
        return False
    return min(cores, 1.0) * (longest_ms + PERIOD_MS) < A_BLOCK_MS


def _is_building(_cause: Finding, symptom: Finding) -> bool:
    blocks = symptom.evidence.get("blocks")
    return bool(blocks) and symptom.evidence.get("while_building") == blocks


PERIOD_MS = 100.0
"""Of a quota, as nearly everybody has it: what may be used at once before the first stop."""

A_BLOCK_MS = 100.0
"""What holds the loop for less, by itself, is no block unless the app says so."""

MOST = 0.5
"""Of a worker's time: its loop is held more often than not."""

A_GOOD_PART = 0.3
"""Of an average request's latency: so much waiting for the loop is what makes it late."""


class Pair(Record, frozen=True):
    """One kind of finding that makes another kind appear."""

    cause: str
    symptom: str
    meet: Meeting
    why: str
    only_if: Callable[[Finding, Finding], bool] = _always


PAIRS: tuple[Pair, ...] = (
    Pair("cpu-throttled", "queueing", "worker", "requests wait for the next period of the quota"),
    Pair("cpu-throttled", "cpu-saturated", "worker", "its quota is what it has no more of"),
    Pair(
        "cpu-throttled",
        "loop-blocked",
        "worker",
        "what the quota stops in its midst takes longer",
        _is_mostly_stops,
    ),
    Pair(
        "cpu-throttled",
        "worker-imbalance",
        "worker",
        "its requests wait for the next period of the quota",
        _is_only_latency,
    ),
    Pair(
        "slow-serialization",
        "loop-blocked",
        "route",
        "what holds the loop is the building of its responses",
        _is_building,
    ),
    Pair("loop-blocked", "queueing", "worker", "requests wait for the loop that is held"),
    Pair("gc-pause", "queueing", "worker", "a collection stops the loop with all else"),
    Pair("cpu-saturated", "queueing", "worker", "the loop has no time left for what comes"),
    Pair("backlog-overflow", "queueing", "worker", "what waits to be accepted waits before the app"),
    Pair(
        "loop-blocked",
        "cpu-saturated",
        "worker",
        "what holds the loop is what burns the CPU",
        _holds_most_of_the_time,
    ),
    Pair(
        "loop-blocked",
        "worker-imbalance",
        "worker",
        "its requests wait for the loop that is held",
        _is_only_latency,
    ),
    Pair("gc-pause", "worker-imbalance", "worker", "its requests wait for its collections", _is_only_latency),
    Pair("cpu-saturated", "worker-imbalance", "worker", "its requests wait for the CPU", _is_only_latency),
    Pair(
        "threadpool-exhausted",
        "worker-imbalance",
        "worker",
        "its requests wait for a thread",
        _is_only_latency,
    ),
    Pair("queueing", "worker-imbalance", "worker", "its requests wait before the app", _is_only_latency),
    Pair(
        "pool-exhausted",
        "worker-imbalance",
        "anywhere",
        "which worker is left without a connection is chance",
        _is_not_load,
    ),
    Pair("pool-exhausted", "threadpool-exhausted", "route", "threads are held by who waits for a connection"),
    Pair("db-lock", "idle-in-transaction", "route", "what idles holds the lock, or waits for who does"),
    Pair("db-lock", "slow-query", "statement", "it waits for the lock, and would be quick without"),
    Pair("db-lock", "stuck-request", "route", "they wait for the lock", _is_waiting),
    Pair("db-lock", "pool-exhausted", "route", "connections are held by who waits for the lock"),
    Pair("missing-index", "slow-query", "statement", "it is slow because it reads what an index would spare"),
    Pair("n-plus-one", "repeated-query", "statement", "one statement for all would repeat nothing"),
    Pair("cache-thrash", "low-hit-ratio", "cache", "what is evicted cannot be hit"),
    Pair("cache-stampede", "low-hit-ratio", "cache", "what many miss at once, one could have made for all"),
)
"""Every cause and symptom."""

CAUSES: tuple[str, ...] = (
    "loop-blocked",
    "db-lock",
    "db-connections",
    "pool-exhausted",
    "n-plus-one",
    "missing-index",
    "slow-query",
    "slow-serialization",
    "upstream-slow",
    "upstream-errors",
    "client-pool-exhausted",
    "error-burst",
    "threadpool-exhausted",
    "cpu-throttled",
    "cpu-saturated",
    "gc-pause",
    "backlog-overflow",
    "queueing",
)
"""What makes a service slow or wrong, what others suffer from first; all other kinds come after these."""

BREACH = "slo-breach"

FAILS = frozenset({"error-burst", "upstream-errors"})
"""What makes requests fail, and not late."""

OF_WHOLE_WORKERS = frozenset(
    {"loop-blocked", "cpu-throttled", "cpu-saturated", "gc-pause", "backlog-overflow", "queueing"}
)
"""Causes that every route of a worker suffers from."""


def settled(found: Iterable[Finding], summary: Summary) -> list[Finding]:
    """Return the findings without those that others explain; missed targets name what to begin with."""
    every = list(found)
    by_kind: dict[str, list[Finding]] = {}
    for finding in every:
        by_kind.setdefault(finding.kind, []).append(finding)
    left = [finding for finding in every if not _is_explained(finding, by_kind)]
    causes = sorted((each for each in left if each.kind in CAUSES), key=_first)
    return [_naming(each, summary, causes) if each.kind == BREACH else each for each in left]


def causes_first(ordered: Sequence[Finding]) -> list[Finding]:
    """Return findings with what a missed target begins with before that target, however severe it is."""
    left = list(ordered)
    for breach in ordered:
        named = breach.evidence.get("cause") if breach.kind == BREACH else None
        cause = next((each for each in left if _is_named(each, named)), None)
        if cause is not None and left.index(cause) > left.index(breach):
            left.remove(cause)
            left.insert(left.index(breach), cause)
    return left


def _is_named(finding: Finding, named: Mapping[str, str] | None) -> bool:
    return named is not None and (finding.kind, finding.subject) == (named["kind"], named["subject"])


def _is_explained(symptom: Finding, by_kind: Mapping[str, Sequence[Finding]]) -> bool:
    on = _workers(symptom)
    explained: set[str] = set()
    for pair in _PAIRS_OF.get(symptom.kind, ()):
        for cause in by_kind.get(pair.cause, ()):
            if not pair.only_if(cause, symptom):
                continue
            if pair.meet == "worker":
                explained |= _workers(cause)
            elif _meet(pair.meet, cause, symptom):
                return True
    return bool(on) and on <= explained


def _meet(meeting: Meeting, cause: Finding, symptom: Finding) -> bool:
    if meeting == "route":
        return bool(_routes(cause) & _routes(symptom))
    if meeting == "statement":
        return symptom.statement is not None and symptom.statement in {cause.statement, *cause.statements}
    if meeting == "cache":
        return cause.cache is not None and cause.cache == symptom.cache
    return meeting == "anywhere"


def _naming(breach: Finding, summary: Summary, causes: Sequence[Finding]) -> Finding:
    """Return a missed target with what to begin with, if that is known."""
    slo = str(breach.evidence["missed"][0]["slo"])
    cause = next((each for each in causes if explains(each, breach.subject, slo, summary)), None)
    if cause is None:
        return breach
    return replace(
        breach,
        evidence={**breach.evidence, "cause": {"kind": cause.kind, "subject": cause.subject}},
        advice=f"Begin with {cause.kind} {cause.subject}: {cause.sentence}.",
    )


def explains(cause: Finding, scope: str, slo: str, summary: Summary) -> bool:
    """Say whether the target `slo` of a route, or of all, is missed by what a finding is about."""
    if slo.startswith("rps") or (cause.kind in FAILS) != slo.startswith("err"):
        return False
    if scope == ALL:
        return True
    if cause.kind in OF_WHOLE_WORKERS or _holds_loops_of_others(cause, scope):
        route = summary.route(scope)
        return route is not None and _waits_for_the_loop(route)
    return scope in _routes(cause)


def _holds_loops_of_others(cause: Finding, scope: str) -> bool:
    return cause.kind == "slow-serialization" and bool(cause.workers) and scope not in _routes(cause)


def _waits_for_the_loop(route: RouteSummary) -> bool:
    waits_ms = (route.queued.ms_per_request or 0.0) + (route.loop_wait_ms_per_request or 0.0)
    return waits_ms >= A_GOOD_PART * (route.latency.mean_ms or 0.0) > 0.0


def _workers(finding: Finding) -> set[str]:
    return set(finding.workers) or ({finding.worker} if finding.worker else set())


def _routes(finding: Finding) -> set[str]:
    return {*finding.routes, *([finding.route] if finding.route else [])}


def _first(finding: Finding) -> tuple[int, float]:
    return RANK[finding.severity], -finding.impact


def _pairs_of() -> Mapping[str, tuple[Pair, ...]]:
    symptoms = dict.fromkeys(pair.symptom for pair in PAIRS)
    return MappingProxyType(
        {symptom: tuple(pair for pair in PAIRS if pair.symptom == symptom) for symptom in symptoms}
    )


_PAIRS_OF = _pairs_of()
