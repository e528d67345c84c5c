"""Why a route has no finding: what was looked at, and by how much it missed."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.findings.catalogue import CRITERIA
from perftui.findings.criteria import At, written
from perftui.findings.figures import percent
from perftui.model.happenings import Finding
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.record import Record
from perftui_agent.wire.parts import RouteLabel

FARTHEST = 9.99
"""Times over a threshold; more is as far."""


class Looked(Record, frozen=True):
    """One kind of finding, as far as it can be told of a route."""

    kind: str
    is_found: bool
    near: float
    """How much of every threshold is reached; 1 and more is all of each."""
    figures: tuple[str, ...]
    """`times one shape in a request 2 of 5`, each figure beside its threshold."""

    @property
    def how_near(self) -> str:
        """How much of it is reached, in a word."""
        if self.is_found:
            return "found"
        return "reached" if self.near >= 1.0 else percent(self.near)

    @property
    def note(self) -> str:
        """Why what is reached is no finding all the same."""
        return "" if self.is_found or self.near < 1.0 else "too few of them, or another finding explains it"


def why_not(route: RouteLabel, summary: Summary, findings: Sequence[Finding]) -> tuple[Looked, ...]:
    """Return every kind that can be told of a route: what is found first, then by how near it is."""
    row = summary.route(route)
    if row is None:
        return ()
    found = {each.kind for each in findings if route in {each.subject, each.route, *each.routes}}
    looked = [_targets(row, summary, found)]
    for kind, criteria in CRITERIA.items():
        measured = [
            (at, value)
            for at in criteria.when
            if isinstance(at, At) and at.of is not None and (value := at.of(row, summary)) is not None
        ]
        if measured:
            near = min(_near(at, value) for at, value in measured)
            figures = tuple(_figure(at, value) for at, value in measured)
            looked.append(Looked(kind, kind in found, near, figures))
    known = [each for each in looked if each is not None]
    return tuple(sorted(known, key=lambda each: (not each.is_found, -each.near, each.kind)))


def _targets(row: RouteSummary, summary: Summary, found: set[str]) -> Looked | None:
    """Return how near the route is to missing a target of its own."""
    own = [each for each in summary.slo if each.scope == row.route and each.value is not None and each.bound]
    if not own:
        return None
    near = 0.0
    figures = []
    for each in own:
        value, bound = each.value or 0.0, each.bound or 1.0
        over = bound / value if each.slo.startswith("rps") and value else value / bound
        near = max(near, min(over, FARTHEST))
        figures.append(f"{each.slo}: {percent(over)} of it")
    return Looked("slo-breach", "slo-breach" in found, near, tuple(figures))


def _near(at: At, value: float) -> float:
    return min(value / at.bar.enter, FARTHEST) if at.bar.enter else FARTHEST


def _figure(at: At, value: float) -> str:
    return f"{at.what} {written(value, at.unit)} of {written(at.bar.enter, at.unit)}"
