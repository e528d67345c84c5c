"""The time axis below the charts: what happened in the window, and where in all that is known one stands.

On the left it has the columns of the charts above it; on the right it spans the fifteen minutes that are
kept, with the window as a thick stretch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from perftui.model.history import KEPT_S
from perftui.present.charts.drawing import column_of
from perftui.present.picture import Picture
from perftui.present.tables.timeline import Moment, moment_sign, moments
from perftui.present.text.cells import Cell, Line, beside, fit
from perftui.present.triage.vitals import LEAD, chart_width

_FIRST = ("high", "deploy", "mark", "medium")
"""What is seen of several in one column: the worst, then what may have brought it about."""


def ruler_line(picture: Picture, width: int) -> Line:
    """Return the axis of the window, and beside it that of all that is known."""
    left = width // 2
    happened = sorted(moments(picture).values(), key=_rank, reverse=True)
    window = (Cell(fit(" happened", LEAD), "label"), *_window(picture, happened, chart_width(left)))
    kept = fit(f" last {KEPT_S // 60}m", LEAD)
    return beside(window, left, (Cell(kept, "label"), *_known(picture, happened, chart_width(width - left))))


def _rank(moment: Moment) -> int:
    return min(
        _FIRST.index(each) if each in _FIRST else len(_FIRST) for each in (moment.severity, moment.kind)
    )


def _window(picture: Picture, happened: Iterable[Moment], width: int) -> list[Cell]:
    summary = picture.summary
    moments_s = [point.at for point in summary.points]
    cells = [Cell("─", "faint") if moments_s else Cell(" ")] * width
    for moment in happened:
        column = column_of(moment.at, moments_s, summary.window_s, width)
        if column is not None:
            cells[column] = moment_sign(moment)
    return _joined(cells)


def _known(picture: Picture, happened: Iterable[Moment], width: int) -> list[Cell]:
    if picture.known is None or width <= 0:
        return []
    first, now = picture.known
    points, window_s = picture.summary.points, picture.summary.window_s
    at = points[-1].at if points else picture.summary.at
    column_s = KEPT_S / width

    def column(moment: float) -> int:
        # At whole multiples of its width a column stays as it is until all of it moves.
        return math.ceil(moment / column_s) - math.ceil(now / column_s) + width - 1

    stands, begins = column(at), column(at - window_s)
    cells = [
        Cell("━", "chart") if max(begins, column(first)) < place <= stands or place == stands
        else Cell("─", "faint") if place > column(first)
        else Cell(" ")
        for place in range(width)
    ]  # fmt: skip
    for moment in happened:
        if 0 <= column(moment.at) < width:
            cells[column(moment.at)] = moment_sign(moment)
    if picture.rewound_s is not None or picture.paused_s is not None:
        cells[max(stands, 0)] = Cell("◂", "accent")
    return _joined(cells)


def _joined(cells: list[Cell]) -> list[Cell]:
    """Return neighbours of one style as one cell."""
    joined: list[Cell] = []
    for cell in cells:
        if joined and joined[-1].style == cell.style:
            joined[-1] = Cell(joined[-1].text + cell.text, cell.style)
        else:
            joined.append(cell)
    return joined
