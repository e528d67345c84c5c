"""Findings that came and went from one picture to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perftui.findings.find import find
from perftui.findings.rule import Standing
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.record import Record


class Differences(Record, frozen=True):
    """What is found in one of two pictures alone, the worst first."""

    came: tuple[Finding, ...] = ()
    went: tuple[Finding, ...] = ()


def differences(before: Summary, after: Summary) -> Differences:
    """Return what came and went: of what is near its threshold in both, neither."""
    old, new = find(before), find(after)
    kept = {each.identity for each in find(after, _standing(old))}
    known = {each.identity for each in find(before, _standing(new))}
    return Differences(
        came=tuple(each for each in new if each.identity not in known),
        went=tuple(each for each in old if each.identity not in kept),
    )


def _standing(findings: Iterable[Finding]) -> Mapping[str, Standing]:
    found: dict[str, dict[str, str]] = {}
    for each in findings:
        found.setdefault(each.kind, {})[each.identity[1]] = each.severity
    return found  # type: ignore[return-value]  # severities, which a dict of str hides
