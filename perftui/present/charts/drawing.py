"""Numbers over time, and numbers over latency, drawn in eighths of a cell.

Takes values where None means "nothing was measured" and gives strings. Time is cut at whole
multiples of a column's width, so a column that is complete never changes again: the picture only
moves, it doesn't shimmer, and little of it has to be sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from perftui.record import Record

EIGHTHS = " ▁▂▃▄▅▆▇█"


class Axis(Record, frozen=True):
    """A stretch of time cut into columns, and which of the points fall into each."""

    slices: tuple[tuple[int, int], ...]

    @classmethod
    def over(cls, moments: Sequence[float], window_s: float, width: int) -> Axis:
        """Return an axis of `width` columns that ends with the last point.

        A point tells of the time since the one before it.
        """
        if width <= 0 or not moments:
            return cls(((0, 0),) * max(width, 0))
        column_s = window_s / width
        step_s = moments[1] - moments[0] if len(moments) > 1 else 1.0
        last = math.ceil(moments[-1] / column_s - 1e-6)
        slices: list[tuple[int, int]] = []
        low = 0
        for column in range(last - width, last):
            starts, ends = column * column_s, (column + 1) * column_s
            while low < len(moments) and moments[low] <= starts + 1e-6:
                low += 1
            high = low
            while high < len(moments) and moments[high] - step_s < ends - 1e-6:
                high += 1
            slices.append((low, high))
        return cls(tuple(slices))

    def highest(self, values: Sequence[float | None]) -> list[float | None]:
        """Return each column's highest value: for latencies, where the peak is the news."""
        return self._fold(values, max)

    def mean(self, values: Sequence[float | None]) -> list[float | None]:
        """Return each column's mean: for rates, where a peak would lie."""
        return self._fold(values, lambda known: sum(known) / len(known))

    def _fold(
        self, values: Sequence[float | None], fold: Callable[[list[float]], float]
    ) -> list[float | None]:
        columns: list[float | None] = []
        for low, high in self.slices:
            known = [value for value in values[low:high] if value is not None]
            columns.append(fold(known) if known else None)
        return columns


def column_of(moment: float | None, moments: Sequence[float], window_s: float, width: int) -> int | None:
    """Return in which column of an axis over `moments` a moment lies; None if in none."""
    if moment is None or not moments or width <= 0:
        return None
    column_s = window_s / width
    column = math.ceil(moment / column_s - 1e-6) - 1 - (math.ceil(moments[-1] / column_s - 1e-6) - width)
    return column if 0 <= column < width else None


def round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50 … so that a scale seldom changes."""
    if value <= 0:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(value))
    for step in (1, 2, 5):
        if value <= step * magnitude * (1 + 1e-9):
            return step * magnitude
    return 10 * magnitude


def scale_of(values: Iterable[float | None], floor: float = 0.0) -> float:
    """Return the top of the scale for `values`, at least `floor`."""
    return round_up(max((value for value in values if value is not None), default=0.0) or floor or 1.0)


def area(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """Return `height` lines, highest first: filled columns; 0 keeps a foot line, None is empty."""
    levels = [_level(value, height, top) for value in values]
    return [
        "".join(EIGHTHS[min(max(level - 8 * row, 0), 8)] for level in levels)
        for row in reversed(range(height))
    ]


def spark(values: Sequence[float | None], top: float | None = None) -> str:
    """Return one line of columns; by its own scale unless `top` is given."""
    return area(values, 1, scale_of(values) if top is None else top)[0]


def bar(ratio: float, width: int) -> str:
    """Return a bar of `width` cells, filled to `ratio`; anything above 0 leaves a trace."""
    halves = round(min(max(ratio, 0.0), 1.0) * width * 2)
    if ratio > 0:
        halves = max(halves, 1)
    full, rest = divmod(halves, 2)
    return ("━" * full + "╸" * rest).ljust(width)


def histogram(ranges: Iterable[tuple[int, int, int]], low: float, high: float, width: int) -> list[float]:
    """Return how many values fall into each of `width` columns of a logarithmic axis [low, high]."""
    columns = [0.0] * width
    span = math.log(high / low)
    for start, end, number in ranges:
        left = _log_position(start, low, span) * width
        right = max(_log_position(end, low, span) * width, left + 1e-9)
        # A bucket wider than a column is spread over all that it covers.
        first, last = int(left), min(math.ceil(right), width)
        for column in range(max(first, 0), max(last, 0)):
            part = min(right, column + 1) - max(left, column)
            columns[column] += number * max(part, 0.0) / (right - left)
    return columns


def _log_position(value: float, low: float, span: float) -> float:
    return min(max(math.log(max(value, low) / low) / span, 0.0), 1.0)


def _level(value: float | None, height: int, top: float) -> int:
    if value is None:
        return 0
    return min(max(round(value / top * height * 8), 1), height * 8)
