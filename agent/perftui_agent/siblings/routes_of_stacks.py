"""Which route a stack works for: told by the lines of the endpoints, which all workers of a service share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from perftui_agent.inspect.memory import Endpoint, route_in

WITHIN_S = 0.5
"""How long the app's thread may take to find its routes; one that is blocked does not come to it."""


class RoutesOfStacks:
    """Knows the endpoints of this worker's app; asks for them where no request has made them known yet."""

    def __init__(
        self,
        endpoints: Callable[[], Sequence[Endpoint]],
        walk: Callable[[], None],
        loop: Callable[[], asyncio.AbstractEventLoop | None],
    ) -> None:
        self._endpoints = endpoints
        self._walk = walk
        """Finds the routes: code of the framework's, which belongs on the app's thread."""
        self._loop = loop

    async def __call__(self, lines: Sequence[tuple[str, int]]) -> str:
        """Return the route whose endpoint is among these lines; empty if there is none, or several."""
        app = self._loop()
        if lines and not self._endpoints() and app is not None and not app.is_closed():
            here, walked = asyncio.get_running_loop(), asyncio.Event()

            def walk() -> None:
                try:
                    self._walk()
                finally:
                    here.call_soon_threadsafe(walked.set)

            app.call_soon_threadsafe(walk)
            try:
                await asyncio.wait_for(walked.wait(), WITHIN_S)
            except TimeoutError:
                return ""
        return route_in(lines, self._endpoints())
