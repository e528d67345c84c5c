"""What an app calls: `instrument`, `watch_cache` and `Slo`; the package gives them out as its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TypeVar

from perftui_agent.instrumentation import attach, current_settings
from perftui_agent.places import short_file
from perftui_agent.probes.caches.probe import watch
from perftui_agent.settings import Slo, enabled_by_environment, read_settings

__all__ = ["Slo", "instrument", "watch_cache"]

App = TypeVar("App")
Cache = TypeVar("Cache")


def instrument(
    app: App,
    *,
    service: str | None = None,
    version: str | None = None,
    slo: Slo | None = None,
    token: str | None = None,
    actions: bool | None = None,
    slow_query_ms: float | None = None,
    sql_text: str | None = None,
    blackbox_mb: float | None = None,
    block_ms: float | None = None,
    runtime_dir: str | os.PathLike[str] | None = None,
    queue_header: str | None = None,
    long_polls: Iterable[str] | None = None,
    triggers: Iterable[str] | None = None,
    dumpable: bool | None = None,
    enabled: bool | None = None,
) -> App:
    """Have the agent watch `app`; return the app to serve.

    A FastAPI or Starlette app comes back as the same object. Any other ASGI callable comes back
    wrapped (the original is its `.app`): serve what is returned. Calling it again changes the settings
    and nothing else. It may be called before or after routes, middleware and engines are made. Nothing
    starts here: the agent's thread and socket come with the app's lifespan or its first request, in
    the worker's own process; at once where this is called in one of these.

    `service` names it in `perftui ls` (default: the app's title, else the folder's name), `version` says
    which one of it runs (default: the FastAPI app's own, unless that is FastAPI's default). `slo` are
    the targets it is held against. `actions=False` forbids dumps. `block_ms`: for how long code may
    hold the event loop before it is named. `runtime_dir`: where its workers register. `queue_header`: the
    header in which a proxy says when it took a request, `"X-Request-Start"` for one; the time since then is
    part of the latency. `long_polls`: routes such as `"GET /poll"` whose requests wait on purpose, and are
    left out of the service's latencies. `triggers`: what is to be looked at of its own accord,
    `["p95>1s for 10s: profile 20s, dump"]`. `dumpable=True` lets a worker that has changed its user
    (gunicorn's `--user`) be traced by that user's processes. Every argument but `slo` can come from the
    environment as `PERFTUI_SERVICE`, `PERFTUI_ACTIONS` and so on; the argument wins. With `enabled=False` (or
    `PERFTUI_ENABLED=0`) the agent does nothing at all.

    Raises ValueError for an argument out of its range, TypeError for what is no ASGI app or no `Slo`.
    """
    settings = read_settings(
        current_settings(),
        service=service,
        version=version,
        token=token,
        actions=actions,
        slow_query_ms=slow_query_ms,
        sql_text=sql_text,
        blackbox_mb=blackbox_mb,
        block_ms=block_ms,
        runtime_dir=runtime_dir,
        queue_header=queue_header,
        long_polls=long_polls,
        triggers=triggers,
        dumpable=dumpable,
        enabled=enabled,
        slo=slo,
    )
    return attach(app, settings) if settings.enabled else app


def watch_cache(cache: Cache, name: str | None = None) -> Cache:
    """Have the lookups of a cache counted; return the same object, which works as before.

    Takes any cachetools cache, or a function that counts for itself: `functools.lru_cache`,
    `cachetools.cached(…, info=True)`, async_lru; a method, a partial or a decorated function stands for the
    cached one behind it. `name` is what it is called in the dashboard (default: the function's name, or
    where this was called); caches of one name are shown as one. It may be called at any time, before or
    after `instrument`, and again. The cache is not kept alive. With `PERFTUI_ENABLED=0` nothing is done at
    all.

    Raises TypeError for anything else.
    """
    if current_settings() is not None or enabled_by_environment():
        caller = sys._getframe(1)
        watch(cache, name, f"{short_file(caller.f_code.co_filename)}:{caller.f_lineno}")
    return cache
