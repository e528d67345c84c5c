"""What each kind of finding goes by, as data beside its rule: for the manual, and for why a route has none.

The thresholds are the constants that the rules themselves compare with; nothing is written down twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from perftui.findings.figures import ms, percent, size, span, times
from perftui.findings.rule import Bar
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.record import Record

Unit: TypeAlias = Literal["ms", "share", "times", "count", "bytes", "s", "ms a second", "a second"]

OfRoute: TypeAlias = Callable[[RouteSummary, Summary], float | None]
"""What a route has of something; None where it is not measured."""


class At(Record, frozen=True):
    """One condition: a figure, where the finding appears, and below what it goes again."""

    what: str
    bar: Bar
    unit: Unit
    of: OfRoute | None = None
    """What a route has of it, where that can be told of a route."""

    def __str__(self) -> str:
        enter, leave = written(self.bar.enter, self.unit), written(self.bar.leave, self.unit)
        until = f" (until it is below {leave})" if leave != enter else ""
        return f"{self.what}: {enter} and more{until}"


class Criteria(Record, frozen=True):
    """What one kind of finding goes by."""

    kind: str
    means: str
    subject: str
    when: tuple[At | str, ...]
    """All of it is to hold."""
    medium: str = ""
    high: str = ""
    """What makes it so severe."""
    never: str = ""
    """What it is not said of."""


def written(value: float, unit: Unit) -> str:
    """Return a value of a threshold as people read it."""
    match unit:
        case "ms":
            return ms(value)
        case "share":
            return percent(value)
        case "bytes":
            return size(value)
        case "times":
            return times(value)
        case "s":
            return span(value)
        case "count":
            return f"{value:,.1f}".removesuffix(".0")
        case _:
            return f"{value:g} {unit}"


def graded_by(bar: Bar, unit: Unit) -> str:
    """Return what makes a finding severe, where that is one figure."""
    return f"from {written(bar.enter, unit)} on"
