"""Which seconds of the agents' tell of a step: those of them that lie in it, not beside it.

A frame is of a second and counts for the whole second that it ended in, so the frames of second B are of
B - ½ to B + ½ on average. A window as long as the step has the quiet before it or after it in its
first or last frame, and of a step of three seconds that is a third.
"""

from __future__ import annotations

import math


def seconds_of(began: float, counted_from: float, ended: float) -> tuple[float, float]:
    """Return the window, in seconds, and where it ends; the step may be shorter than a second.

    `began` is when the first request was due, warm-up included: it is of the step as well as of its load.
    """
    last = math.floor(ended - 0.5)
    first = math.ceil(max(began + 0.5, counted_from))
    return float(max(last - first + 1, 1)), float(last)
