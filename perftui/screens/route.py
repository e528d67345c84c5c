"""One route: where its time goes, what it asks of the database, its slowest requests."""

from __future__ import annotations

from perftui.keytable.key import Place
from perftui.present.details.route import route_rows
from perftui.present.text.evidence import Row
from perftui.screens.evidence import EvidenceView
from perftui.screens.functions import ask_and_measure
from perftui.screens.profile import ask_and_profile
from perftui.screens.view import Host
from perftui.widgets.bindings import bindings
from perftui_agent.wire.parts import RouteLabel


class RouteView(EvidenceView, inherit_bindings=True):
    """The detail of one route."""

    BINDINGS = bindings("route")
    PLACES: tuple[Place, ...] = ("route", "evidence", "rows", "everywhere")

    def __init__(self, host: Host, route: RouteLabel, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._route = route

    def name_here(self) -> str:
        """Return the route."""
        return self._route

    def scope(self) -> str:
        """Return the route: its own targets count here."""
        return self._route

    def route_here(self) -> RouteLabel:
        """Return the route."""
        return self._route

    def rows(self, width: int, height: int) -> list[Row]:
        """Return all that is known of the route."""
        return route_rows(self.picture, self._route, width, height)

    def action_profile(self) -> None:
        """Ask, then profile all workers, to show this route."""
        ask_and_profile(self, None, self._route)

    def action_functions(self) -> None:
        """Ask, then measure the functions of this route's next requests."""
        ask_and_measure(self, self._route)
