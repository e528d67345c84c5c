"""How the triage view shares out the screen: composed for 80×24, and using what room there is beyond."""

from __future__ import annotations

from perftui.record import Record

_TALLEST = 5
"""Lines of a chart: more tells nothing more."""

_FEWEST_ROWS = 8
"""Kept free for routes before any are known."""

SIDE_BY_SIDE = 170
"""From this width on the workers stand beside the routes."""


class Triage(Record, frozen=True):
    """Heights in lines; the routes get what is left."""

    chart_height: int
    """Of each of the three charts on a side; the time axis below them takes a line more."""
    attention: int
    workers: int
    """With its heading; 0: all the height there is, beside the routes."""
    gaps: bool
    """Whether empty lines part the blocks."""

    @property
    def side_by_side(self) -> bool:
        """Whether the workers stand beside the routes."""
        return self.workers == 0


def triage_layout(width: int, height: int, notices: int, workers: int, routes: int) -> Triage:
    """Return the heights for a screen of this size with so much to show."""
    gaps = height >= 30
    chart_height = 1 if height < 30 else 2 if height < 45 else 3
    most = 2 if height < 24 else 3 if height < 30 else 6 if height < 45 else 8
    attention = min(max(notices, 1), most)
    # Header, vitals with their axis, attention, bottom line; then two tables with a heading each.
    rest = height - 3 - 3 * chart_height - attention - (3 if gaps else 1)
    rows = max(routes, _FEWEST_ROWS)
    tables = rows + 1 if width >= SIDE_BY_SIDE else rows + max(workers, 1) + 3
    # What few routes leave over goes to the charts.
    chart_height += min(max(rest - tables, 0) // 3, _TALLEST - chart_height)
    if width >= SIDE_BY_SIDE:
        return Triage(chart_height, attention, 0, gaps)
    return Triage(chart_height, attention, min(max(workers, 1) + 1, max(rest * 2 // 5, 3)), gaps)
