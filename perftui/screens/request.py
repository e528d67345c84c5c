"""One slow request and its story; one that is in flight and where it waits."""

from __future__ import annotations

from perftui.present.details.flight import ended_rows, flight_rows
from perftui.present.details.story import story_rows
from perftui.present.text.evidence import Row, flight_keys, request_key
from perftui.screens.evidence import EvidenceView
from perftui.screens.view import Host


class RequestView(EvidenceView, inherit_bindings=True):
    """The waterfall of one request; it stays when the request has left the window."""

    def __init__(self, host: Host, key: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        found = (row for row in self.picture.summary.slowest if request_key(row) == key)
        self._row = next(found, None)

    def name_here(self) -> str:
        """Return the request's number."""
        return f"#{self._row.request.id}" if self._row else "request"

    def scope(self) -> str:
        """Return its route: the targets of that are its own."""
        return self._row.request.route if self._row else ""

    def rows(self, width: int, height: int) -> list[Row]:
        """Return its story."""
        return story_rows(self.picture.summary, self._row, width, height)


class FlightView(EvidenceView, inherit_bindings=True):
    """A request in flight; when it has ended, what was last seen of it."""

    def __init__(self, host: Host, key: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._key = key
        self._row = flight_keys(self.picture.summary).get(key)
        self._age_ns = 0

    def name_here(self) -> str:
        """Return what was asked for."""
        return f"{self._row.request.method} {self._row.request.path}" if self._row else "request"

    def rows(self, width: int, height: int) -> list[Row]:
        """Return where it waits, and how long others take."""
        now = flight_keys(self.picture.summary).get(self._key)
        # A younger one of the same path is another request.
        if now is None or now.request.age_ns < self._age_ns:
            return ended_rows(self.picture, self._row, width, height)
        self._row, self._age_ns = now, now.request.age_ns
        return flight_rows(self.picture, now, width, height)
