"""What all rules share: what they take, what they give, and where a finding begins and ends.

A rule takes a `Summary` and which of its findings stand already; it yields the findings that hold now.
A finding appears at one threshold and goes at a lower one, so that a figure near a threshold doesn't
make it come and go. Text in it was cleaned when it came into the model; it is bounded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from perftui.model.happenings import Finding, Severity
from perftui.model.summary import Summary
from perftui.record import Record

Standing: TypeAlias = Mapping[str, Severity]
"""The findings of one rule that stand, by their key: how severe each was."""

NONE_STANDS: Standing = MappingProxyType({})

Rule: TypeAlias = Callable[[Summary, Standing], Iterator[Finding]]
"""Checks one picture; knows nothing of earlier ones but what stands."""

MIN_REQUESTS = 20
"""A share or a p95 of fewer requests says too little: of 20, one makes 5 %."""

MAX_SUBJECT = 160
MAX_TEXT = 240
"""Characters of what is quoted in a sentence."""

RANK: Mapping[Severity, int] = MappingProxyType({"high": 0, "medium": 1, "low": 2})


class Bar(Record, frozen=True):
    """A threshold: reached at `enter`, given up below `leave`."""

    enter: float
    leave: float

    def reached(self, value: float | None, stands: bool) -> bool:
        """Say whether a finding holds by `value`; none does without one."""
        return value is not None and value >= (self.leave if stands else self.enter)


def graded(value: float, medium: Bar, high: Bar, was: Severity | None) -> Severity:
    """Return how severe `value` is, when the finding was `was`; it doesn't flicker either."""
    if high.reached(value, was == "high"):
        return "high"
    return "medium" if medium.reached(value, was in {"high", "medium"}) else "low"


def worst(*severities: Severity) -> Severity:
    """Return the worst of them."""
    return min(severities, key=RANK.__getitem__)


def quoted(text: str, most: int = MAX_TEXT) -> str:
    """Return `text` at most `most` characters long."""
    return text if len(text) <= most else text[: most - 1] + "…"
