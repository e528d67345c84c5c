"""Work in slices with time between: keys go first, whatever a picture is made of.

Takes steps (`model.steps`) and goes on with them by the loop's own clock, not by messages: one message after
the other would let no key in between. Only one work is gone on with; a newer one, or none, takes its place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from perftui.faults import FAULTS
from perftui.model.steps import Steps

SLICE_S = 0.005
"""So long is worked in one go …"""

BETWEEN_S = 0.005
"""… and so long is left before it is gone on with: a key has its turn many times before it is painted."""

KEYS_FIRST_S = 0.03
"""So long after a key nothing else is done …"""

HELD_UP_S = 0.25
"""… unless keys have held up this work for so long."""


class Slices:
    """Goes on with one work at a time; `done` is called after its last step, or its fault."""

    def __init__(self, done: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._done = done
        self._clock = clock
        self._work: Steps[None] | None = None
        self._pressed_at = float("-inf")
        self._held_up_s = 0.0
        self._whole = False

    @property
    def busy(self) -> bool:
        """Whether there is work to go on with."""
        return self._work is not None

    def pressed(self) -> None:
        """Note that a key has been pressed: what it does is to be seen first."""
        self._pressed_at = self._clock()

    def begin(self, work: Steps[None], *, whole: bool = False) -> None:
        """Begin a work in place of any other; a `whole` one is waited for, and done in one go."""
        self._work, self._held_up_s, self._whole = work, 0.0, whole
        self._go_on_with(work)

    def drop(self) -> None:
        """Leave the work as it is: it is no longer wanted."""
        self._work = None

    def _go_on_with(self, work: Steps[None]) -> None:
        if work is not self._work:
            return
        began = self._clock()
        if began - self._pressed_at < KEYS_FIRST_S and self._held_up_s < HELD_UP_S and not self._whole:
            self._held_up_s += BETWEEN_S
            self._later(work)
            return
        with FAULTS.spared("the picture"):
            for _ in work:
                if self._clock() - began > SLICE_S and not self._whole:
                    self._later(work)
                    return
        self._work = None
        self._done()

    def _later(self, work: Steps[None]) -> None:
        asyncio.get_running_loop().call_later(BETWEEN_S, self._go_on_with, work)
