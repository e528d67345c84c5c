"""The routes of all the apps of this process together, for whoever speaks of a route.

An app may be mounted in another, and there may be several: each has its own labels.
"""

from __future__ import annotations

from perftui_agent.inspect.memory import Endpoint
from perftui_agent.probes.http import routes


def labels() -> list[str]:
    """Return every route's label."""
    return [label for app in list(routes.every) for label in app.labels()]


def walk() -> None:
    """Have the routes of all apps known; on the app's thread."""
    for app in list(routes.every):
        app.walk_once()


def endpoints() -> list[Endpoint]:
    """Return where the code of all apps' endpoints stands."""
    return [
        Endpoint(
            code.co_filename, code.co_firstlineno, max(line or 0 for _, _, line in code.co_lines()), route
        )
        for app in list(routes.every)
        for code, route in app.endpoint_codes()
    ]


def serves(route: str) -> bool | None:
    """Tell whether any app has a route; None if none of them says so and one of them may."""
    told = [app.serves(route) for app in list(routes.every)]
    return True if True in told else None if None in told else False
