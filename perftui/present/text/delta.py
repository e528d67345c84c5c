"""How a route stands against a mark: more than chance by a percentage, noise and too few by name."""

from __future__ import annotations

from collections.abc import Callable

from perftui.model.changes import Change
from perftui.model.comparison import RouteChange, compare_route
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.present.text.blocks import pairs
from perftui.present.text.cells import Cell, Line
from perftui.present.text.units import ms, percent, rate
from perftui.record import Record


class Mark(Record, frozen=True):
    """A moment somebody marked, and how things stood then."""

    at: float
    shown: str
    """Its clock time."""
    then: Summary
    """A `baseline`: the window that ended then."""

    def change(self, route: RouteSummary, over_s: float) -> RouteChange:
        """Return how a route has changed since, whose figures now are those of `over_s` seconds."""
        return compare_route(route.route, self.then.route(route.route), route, self.then.window_s, over_s)


def delta_cell(change: RouteChange, figure: Change) -> Cell:
    """Return `+42%`, `-8%`, `≈` for noise, `new` for a route that had no request then, `~` for too few."""
    if change.there == "after":
        return Cell("new", "medium")
    if figure.verdict == "unknown":
        return Cell("~", "faint")
    if figure.verdict == "noise":
        return Cell("≈", "faint")
    return Cell(_by_how_much(figure), "high" if figure.verdict == "up" else "good")


def since_lines(change: RouteChange, mark: Mark, width: int) -> list[Line]:
    """Return how the figures of a route stand against a mark, in words."""
    if change.there == "after":
        return pairs([(f"since {mark.shown}", "new: it had no request before", "medium")], width)
    worse = {"up": "high", "down": "good", "noise": "faint", "unknown": "faint"}
    items = [(f"since {mark.shown}", "", "text")]
    for name, figure, write in (
        ("p50", change.p50, ms),
        ("p95", change.p95, ms),
        ("p99", change.p99, ms),
        ("err", change.error_rate, percent),
    ):
        items.append((name, _in_words(figure, write), worse[figure.verdict]))
    items.append(("rps", _in_words(change.rps, rate), "text" if change.rps.is_real else "faint"))
    return pairs(items, width)


def _by_how_much(figure: Change) -> str:
    ratio = figure.ratio or 0.0
    return f"{ratio:+.0%}" if ratio < 10 else f"×{min(ratio + 1, 9999):.0f}"


def _in_words(figure: Change, write: Callable[[float | None], str]) -> str:
    if figure.verdict == "unknown":
        return "too few"
    if figure.verdict == "noise":
        return "noise"
    was = f"was {write(figure.before)}"
    return f"{_by_how_much(figure)}, {was}" if figure.before else was
