"""How much is looked at when looking at all of it would cost the app too much.

Takes what the agent's thread took of a core in each span, gives one number: one request in so many is
followed in full. Requests, statements and lookups are counted and timed all the same, and nothing is ever
switched off. What following all would cost is known at any sampling, so the number rests on the load alone:
it does not hunt for its level, and when the load goes it is 1 again in a few spans.

Where closing frames is what costs, because there is so much to tell, they come every two seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

TOO_MUCH_PERCENT = 1.5
"""Of a core: the promise is to stay below 2."""

LITTLE_PERCENT = 1.1
"""What it must come to, by then, for more to be followed again."""

LEAST_PERCENT = 0.1
"""What following may take, whatever the rest takes: somebody is always followed."""

MORE_AFTER = 3
"""Spans that agree, for more to be followed again; for less it takes one fewer, since a single one, as at
start-up, is no load."""

MOST = 1024

SELDOM_AFTER = 5
OFTEN_AFTER = 12
"""Spans, by their median, for frames to come more seldom; and that all agree, for them to come again."""

SPANS_S = (1, 2)
"""How long the span of a frame is: clients take a worker for silent after two seconds and a half."""


class Spent(NamedTuple):
    """What a span has cost, in percent of a core."""

    total: float
    following: float = 0.0
    """Of it, what was done for the requests that were followed alone."""
    frame: float = 0.0
    """Of it, closing a frame and handing it on."""


def wanted(spent: Spent, one_in: int, percent: float) -> int:
    """Return one request in how many can be followed for so much, given what one in `one_in` has cost."""
    allowed = max(percent - (spent.total - spent.following), LEAST_PERCENT)
    following_all = spent.following * one_in
    number = 1
    while number < MOST and following_all > allowed * number:
        number *= 2
    return number


def next_one_in(one_in: int, spans: Sequence[Spent]) -> int:
    """Return one request in how many is followed from now on, given the spans at `one_in`, latest last."""
    latest = spans[-MORE_AFTER:]
    if len(latest) >= MORE_AFTER - 1:
        less = min(wanted(spent, one_in, TOO_MUCH_PERCENT) for spent in latest[-MORE_AFTER + 1 :])
        if less > one_in:
            return less
    if len(latest) >= MORE_AFTER:
        more = max(wanted(spent, one_in, LITTLE_PERCENT) for spent in latest)
        if more < one_in:
            return more
    return one_in


class Degradation:
    """What one agent leaves out."""

    def __init__(self) -> None:
        self.one_in = 1
        self.span_s = SPANS_S[0]
        self._spans: deque[Spent] = deque(maxlen=MORE_AFTER)
        """At this sampling."""
        self._rests: deque[Spent] = deque(maxlen=OFTEN_AFTER)
        """At this length of a span."""

    def after_span(self, spent: Spent) -> None:
        """Take what a span has cost, and decide about the next."""
        self._spans.append(spent)
        self._rests.append(spent)
        one_in = next_one_in(self.one_in, list(self._spans))
        if one_in != self.one_in:
            self.one_in = one_in
            self._spans.clear()
        often, seldom = SPANS_S
        rest = [spent.total - spent.following for spent in self._rests]
        frame = median(spent.frame for spent in self._rests)
        if self.span_s == often:
            tells = len(rest) >= SELDOM_AFTER and median(rest[-SELDOM_AFTER:]) > TOO_MUCH_PERCENT
            if tells and frame > TOO_MUCH_PERCENT / 2:
                self.span_s = seldom
                self._rests.clear()
        elif len(rest) >= OFTEN_AFTER and max(rest) + frame < TOO_MUCH_PERCENT:
            self.span_s = often
            self._rests.clear()

    @property
    def told(self) -> str:
        """What is left out, in words; empty if nothing is."""
        parts = [f"1 request in {self.one_in} is followed in full"] if self.one_in > 1 else []
        return ", ".join([*parts, "a frame every two seconds"] if self.span_s > SPANS_S[0] else parts)
