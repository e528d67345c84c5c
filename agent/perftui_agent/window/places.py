"""Where in the app's code a step of transactions comes from, by where its time goes.

All commits of an app are one row: the first to be looked at says nothing of the others. So one is looked at
each second, and every slow one; a place is told if it has most of the time, else that there are several.
"""

from __future__ import annotations

from perftui_agent.wire.parts import CodePlace

MOST = 0.5
"""Of the time: the place that has more is told."""

FADES = 0.98
"""What a second leaves of the time before: half in half a minute."""

MAX_PLACES = 50

SEVERAL: CodePlace = ""
"""Told where none has most of it."""


class Places:
    """The places of one step, and the time that was seen to go there of late."""

    def __init__(self) -> None:
        self._ns: dict[CodePlace, float] = {}

    def note(self, place: CodePlace, ns: int) -> None:
        """Take note of an execution."""
        if place not in self._ns and len(self._ns) >= MAX_PLACES:
            del self._ns[min(self._ns, key=self._ns.__getitem__)]
        self._ns[place] = self._ns.get(place, 0.0) + ns

    def fade(self) -> None:
        """Let what was count for less: a second is over."""
        for place in self._ns:
            self._ns[place] *= FADES

    def told(self) -> CodePlace | None:
        """Return where most of the time goes; `SEVERAL` if that is no single place, None if none was seen."""
        if not self._ns:
            return None
        place = max(self._ns, key=self._ns.__getitem__)
        return place if self._ns[place] > MOST * sum(self._ns.values()) else SEVERAL
