"""Our faults never reach the host app; each is counted, and shown as a badge."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger("perftui")

MAX_PLACES = 50
"""Distinct places that are told apart; further ones share `(other)`."""


class Guard:
    """Counts the faults of one agent, by the place that had them."""

    def __init__(self) -> None:
        self.faults: dict[str, int] = {}

    def fault(self, place: str, error: BaseException) -> None:
        """Count a fault; the first of each place is logged, with its traceback, at debug level."""
        if place not in self.faults:
            if len(self.faults) >= MAX_PLACES:
                place = "(other)"
            _log.debug("the perftui agent had a fault in %s; the app is not affected", place, exc_info=error)
        self.faults[place] = self.faults.get(place, 0) + 1

    @contextmanager
    def guarding(self, place: str) -> Iterator[None]:
        """Keep any Exception of the block here. Not for the request path: a generator costs 1 µs."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - that is what a guard is for
            self.fault(place, error)
