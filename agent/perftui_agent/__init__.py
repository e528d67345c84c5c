"""The perftui agent: live timings of this worker, for the perftui dashboard.

    from perftui_agent import instrument
    app = instrument(FastAPI())

Then, on the same host: `perftui connect localhost:8000`.
"""

from __future__ import annotations

from typing import TypeVar

from perftui_agent.instrumentation import attach, current_settings
from perftui_agent.settings import Slo, read_settings

__all__ = ["Slo", "instrument"]

App = TypeVar("App")


def instrument(
    app: App,
    *,
    service: str | None = None,
    slo: Slo | None = None,
    token: str | None = None,
    actions: bool | None = None,
    slow_query_ms: float | None = None,
    sql_text: str | None = None,
    blackbox_mb: float | None = None,
    block_ms: float | None = None,
    enabled: bool | None = None,
) -> App:
    """Have the agent watch `app`; return the app to serve.

    A FastAPI or Starlette app comes back as the same object. Any other ASGI callable comes back
    wrapped (the original is its `.app`): serve what is returned. Calling it again changes the settings
    and nothing else. It may be called before or after routes, middleware and engines are made. Nothing
    starts here: the agent's thread and socket come with the app's lifespan or its first request, in
    the worker's own process.

    `service` names it in `perftui ls` (default: the app's title, else the folder's name). `slo` are
    the targets it is held against. `actions=False` forbids dumps. `block_ms`: for how long code may
    hold the event loop before it is named. Every argument but `slo` can come from the environment as
    `PERFTUI_SERVICE`, `PERFTUI_ACTIONS` and so on; the argument wins. With `enabled=False` (or
    `PERFTUI_ENABLED=0`) the agent does nothing at all.

    Raises ValueError for an argument out of its range.
    """
    settings = read_settings(
        current_settings(),
        service=service,
        token=token,
        actions=actions,
        slow_query_ms=slow_query_ms,
        sql_text=sql_text,
        blackbox_mb=blackbox_mb,
        block_ms=block_ms,
        enabled=enabled,
        slo=slo,
    )
    return attach(app, settings) if settings.enabled else app
