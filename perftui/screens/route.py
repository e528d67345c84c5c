"""One route: where do its latencies lie, who serves it, how does it end."""

from __future__ import annotations

from perftui.present.cells import Line
from perftui.present.route_detail import route_lines
from perftui.screens.detail import DetailView
from perftui.screens.view import Host
from perftui_agent.wire.frames import RouteLabel


class RouteView(DetailView, inherit_bindings=True):
    """The detail of one route."""

    def __init__(self, host: Host, route: RouteLabel) -> None:
        super().__init__(host)
        self._route = route

    def crumbs(self) -> tuple[str, ...]:
        """Return the route."""
        return (self._route,)

    def scope(self) -> str:
        """Return the route: its own targets count here."""
        return self._route

    def lines(self, width: int, height: int) -> list[Line]:
        """Return all that is known of the route."""
        return route_lines(self.picture.summary, self._route, width, height)
