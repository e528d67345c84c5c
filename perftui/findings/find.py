"""All rules over one picture: what is wrong, the worst first, and each trouble once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from perftui.faults import FAULTS
from perftui.findings import (
    backlog_overflow,
    cache_stampede,
    cache_thrash,
    chatty_upstream,
    client_per_request,
    client_pool_exhausted,
    cpu_saturated,
    cpu_throttled,
    db_connections,
    db_lock,
    error_burst,
    gc_pause,
    idle_in_transaction,
    large_payload,
    loop_blocked,
    low_hit_ratio,
    memory_growth,
    missing_index,
    n_plus_one,
    pool_exhausted,
    queueing,
    repeated_query,
    slo_breach,
    slow_messages,
    slow_query,
    slow_serialization,
    stuck_request,
    threadpool_exhausted,
    upstream_errors,
    upstream_slow,
    worker_gone,
    worker_imbalance,
)
from perftui.findings.causes import causes_first, settled
from perftui.findings.rule import MAX_SUBJECT, NONE_STANDS, RANK, Rule, Standing, quoted
from perftui.model.happenings import Finding
from perftui.model.summary import Summary

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        slo_breach.KIND: slo_breach.check,
        loop_blocked.KIND: loop_blocked.check,
        n_plus_one.KIND: n_plus_one.check,
        repeated_query.KIND: repeated_query.check,
        missing_index.KIND: missing_index.check,
        slow_query.KIND: slow_query.check,
        pool_exhausted.KIND: pool_exhausted.check,
        threadpool_exhausted.KIND: threadpool_exhausted.check,
        low_hit_ratio.KIND: low_hit_ratio.check,
        cache_thrash.KIND: cache_thrash.check,
        cache_stampede.KIND: cache_stampede.check,
        large_payload.KIND: large_payload.check,
        slow_serialization.KIND: slow_serialization.check,
        error_burst.KIND: error_burst.check,
        stuck_request.KIND: stuck_request.check,
        worker_imbalance.KIND: worker_imbalance.check,
        cpu_saturated.KIND: cpu_saturated.check,
        cpu_throttled.KIND: cpu_throttled.check,
        memory_growth.KIND: memory_growth.check,
        gc_pause.KIND: gc_pause.check,
        queueing.KIND: queueing.check,
        backlog_overflow.KIND: backlog_overflow.check,
        db_lock.KIND: db_lock.check,
        idle_in_transaction.KIND: idle_in_transaction.check,
        db_connections.KIND: db_connections.check,
        upstream_slow.KIND: upstream_slow.check,
        upstream_errors.KIND: upstream_errors.check,
        client_pool_exhausted.KIND: client_pool_exhausted.check,
        chatty_upstream.KIND: chatty_upstream.check,
        client_per_request.KIND: client_per_request.check,
        slow_messages.KIND: slow_messages.check,
        worker_gone.LOST: worker_gone.check_lost,
        worker_gone.RESTARTED: worker_gone.check_restarted,
    }
)
"""Every kind and what checks for it: the file of the same name."""

MAX_SENTENCE = 500
"""Characters of a sentence, and of an advice."""

MAX_OF_A_KIND = 20
"""Findings of one kind; beyond them, more of the same tell nothing new."""


def find(
    summary: Summary,
    standing: Mapping[str, Standing] = MappingProxyType({}),
    lately: Summary | None = None,
) -> tuple[Finding, ...]:
    """Return everything that is wrong in `summary`: by severity, then by what it costs, causes first.

    `standing` says which findings were there before (`steady.Steady` keeps it): they stay until they
    fall under a lower threshold than the one at which they appear. `lately` is a shorter window with the
    same end, in which what has just begun is not outweighed by what was before: a finding of either stands.
    """
    pictures = (summary,) if lately is None else (summary, lately)
    found: list[Finding] = []
    for kind, check in RULES.items():
        # A rule that fails takes its own judgement with it, and no other's.
        with FAULTS.spared(f"the finding {kind}"):
            checked = _checked(check, pictures, standing.get(kind, NONE_STANDS))
            found += sorted(checked, key=_order)[:MAX_OF_A_KIND]
    return tuple(_bounded(each) for each in causes_first(sorted(settled(found, summary), key=_order)))


def _checked(check: Rule, pictures: Iterable[Summary], standing: Standing) -> Iterable[Finding]:
    """Return each finding once, as severe as the worse of the pictures has it."""
    worst: dict[tuple[str, str], Finding] = {}
    for picture in pictures:
        for each in check(picture, standing):
            before = worst.setdefault(each.identity, each)
            if RANK[each.severity] < RANK[before.severity]:
                worst[each.identity] = each
    return worst.values()


def _bounded(finding: Finding) -> Finding:
    """Return a finding that fits a screen, however long the names in it are."""
    if len(finding.subject) <= MAX_SUBJECT and len(finding.sentence + finding.advice) <= MAX_SENTENCE:
        return finding
    return replace(
        finding,
        key=finding.identity[1],
        subject=quoted(finding.subject, MAX_SUBJECT),
        sentence=quoted(finding.sentence, MAX_SENTENCE),
        advice=quoted(finding.advice, MAX_SENTENCE),
    )


def _order(finding: Finding) -> tuple[int, float, str, str]:
    return RANK[finding.severity], -finding.impact, *finding.identity
