"""Puts the HTTP probe around an app, and changes nothing else about it.

Starlette and FastAPI apps keep their identity: `Starlette.__call__` is wrapped once, and looks for a
probe on the instance. That is outside of every middleware, whenever it is added, and leaves alone
`build_middleware_stack`, which other instruments replace. Where the class of an app has a `__call__` of its
own, which may answer before Starlette hears of a request, that is wrapped as well. A bare ASGI callable is
wrapped, and what wraps it has to be served.
"""

from __future__ import annotations

import copyreg
import functools
import inspect
import os
import sys
import threading
from dataclasses import replace
from types import FrameType
from typing import Any, TypeVar

from perftui_agent.agent import Agent
from perftui_agent.own_call import OwnCall
from perftui_agent.probes.http.scope_copies import MARKER
from perftui_agent.probes.http.timing import HttpProbe, timed_call
from perftui_agent.records import Scope
from perftui_agent.settings import Settings, enabled_by_environment, read_settings
from perftui_agent.wire.door import DOOR_PATH

App = TypeVar("App")

PROBE_ATTRIBUTE = "_perftui_probe"
"""Where an instrumented Starlette or FastAPI instance keeps its probe."""

EVERY_APP = "_perftui_every_app"
"""Set on the class when apps are instrumented without code of theirs."""

FASTAPI_DEFAULT = "0.1.0"
"""The version of an app that has none."""

_FRAMEWORKS = frozenset({"fastapi", "starlette"})

_SERVES = frozenset({"starlette.routing", "fastapi.routing"})
"""Modules whose coroutines serve an app."""

MAX_FRAMES = 200

_WRAPS = "_perftui_wraps"

_HAS_DOOR = "_perftui_has_door"
"""Marks the outermost of what an app's class is called by, where there is a token."""

_agent: Agent | None = None
_making = threading.Lock()


def attach(app: App, settings: Settings) -> App:
    """Return `app` with a probe around it; the same object wherever that is possible."""
    _check_callable(app)
    agent = the_agent()
    agent.own.settings = settings
    agent.own.door.lock_with(settings.token)
    if settings.service or not agent.own.service:
        agent.own.service = settings.service or _title_of(app)
    if settings.version or not agent.own.version:
        agent.own.version = settings.version or _version_of(app)
    starlette = _starlette_class(type(app))
    _wrap(starlette, type(app))
    if isinstance(app, HttpProbe):
        return app
    if starlette is None:
        return _probe(app, agent)  # type: ignore[return-value] # what is served instead of it
    if PROBE_ATTRIBUTE not in vars(app):
        setattr(app, PROBE_ATTRIBUTE, _probe(app, agent))
        if _is_being_served():
            agent.start()
    return app


def _is_being_served() -> bool:
    """Tell whether this is called by an app at work, as in its lifespan: that has begun without us."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(MAX_FRAMES):
        if frame is None:
            break
        if frame.f_globals.get("__name__") in _SERVES and frame.f_code.co_flags & inspect.CO_COROUTINE:
            return True
        frame = frame.f_back
    return False


def current_settings() -> Settings | None:
    """Return what was set by an earlier call in this process; None before the first."""
    return _agent.own.settings if _agent is not None else None


def the_agent() -> Agent:
    """Return the agent of this process, made on the first call; that starts nothing."""
    global _agent  # noqa: PLW0603 - one agent per process is the point
    with _making:
        if _agent is None:
            _agent = Agent()
        return _agent


def _probe(app: Any, agent: Agent) -> HttpProbe:
    return HttpProbe(
        app,
        routes_of=app,
        sink=agent.own.window,
        sides=agent.own.sides,
        arrivals=agent.own.arrivals,
        guard=agent.own.guard,
        wake=agent.start,
        on_lifespan_start=agent.lifespan_started,
        on_lifespan_end=agent.lifespan_ended,
    )


class _Passage:
    """Stands for a probe where the agent is to do nothing at all."""

    app: Any

    def __bool__(self) -> bool:
        return False

    def __setstate__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def _reduced(probe: HttpProbe) -> tuple[Any, ...]:
    """Return how a probe is pickled and copied: its app travels, the agent of this process does not."""
    agent = the_agent()
    settings = agent.own.settings
    if settings.token == os.environ.get("PERFTUI_TOKEN"):
        settings = replace(settings, token=None)
    cls = type(probe.app)
    starlette = _starlette_class(cls)
    told = (starlette, cls if starlette else HttpProbe, settings, agent.own.service, agent.own.version)
    return _probe_of_a_copy, told, probe.app


def _probe_of_a_copy(
    starlette: type | None, cls: type, settings: Settings, service: str, version: str
) -> HttpProbe | _Passage:
    """Return a probe for an app that is about to arrive: watched by this process's agent, as was said there.

    What has been said in this process stands.
    """
    if not enabled_by_environment():
        return _Passage()
    new_here = current_settings() is None
    agent = the_agent()
    if new_here:
        agent.own.settings, agent.own.service, agent.own.version = settings, service, version
        agent.own.door.lock_with(settings.token)
    _wrap(starlette, cls)
    return _probe(None, agent)


copyreg.pickle(HttpProbe, _reduced)


def _starlette_class(cls: type) -> type | None:
    # By name: the agent imports no framework.
    for base in cls.__mro__:
        if base.__module__ == "starlette.applications" and base.__name__ == "Starlette":
            return base
    return None


def instrument_every_app(starlette: type) -> None:
    """Have each app of this class instrumented when it is first called: it may never be, or be a part."""
    settings = read_settings()
    if settings.enabled:
        _wrap_call(starlette)
        setattr(starlette, EVERY_APP, True)
    if settings.enabled and settings.token:
        the_agent().own.door.lock_with(settings.token)
        _wrap_door(starlette)


def _wrap(starlette: type | None, cls: type) -> None:
    """Wrap what apps of this class are called by; `starlette` is None for what is no app of Starlette's."""
    if starlette is not None:
        _wrap_call(starlette)
        if _has_own_call(cls):
            _wrap_own_call(cls)
    if the_agent().own.door.exists:
        _wrap_door(HttpProbe if starlette is None else cls if _has_own_call(cls) else starlette)


def _has_own_call(cls: type) -> bool:
    """Tell whether an app's class, or one between it and its framework's, has a `__call__` of its own."""
    owner = next(base for base in cls.__mro__ if "__call__" in vars(base))
    return owner.__module__.partition(".")[0] not in _FRAMEWORKS


def _wrap_call(starlette: Any) -> None:
    """Wrap `Starlette.__call__` unless the outermost wrapper is ours."""
    current = starlette.__call__
    if not hasattr(current, _WRAPS):
        setattr(starlette, PROBE_ATTRIBUTE, None)
        starlette.__call__ = _timed(current)


def _wrap_own_call(cls: Any) -> None:
    """Wrap the `__call__` of this class alone: one that it inherits may be that of others, too."""
    current = cls.__call__
    if not hasattr(current, _WRAPS):
        cls.__call__ = OwnCall(current, _timed(current))


def _timed(current: Any) -> Any:
    # A coroutine function, as before: servers look at it to tell ASGI 3 from ASGI 2.
    call = functools.wraps(current)(timed_call(current, _adopt))
    setattr(call, _WRAPS, True)
    return call


def _own_call_of_a_copy(current: Any) -> OwnCall:
    return OwnCall(current, _timed(current))


copyreg.pickle(OwnCall, lambda own: (_own_call_of_a_copy, (own.theirs,)))


def _wrap_door(served: Any) -> None:
    """Have a class of apps answer at the remote door, outside of all else, unless it does.

    A layer of its own, which is there only where there is a token: all other apps pay nothing for it.
    """
    current = served.__call__
    if hasattr(current, _HAS_DOOR):
        return
    door = the_agent().own.door

    @functools.wraps(current)
    async def call(self: Any, scope: Scope, receive: Any, send: Any) -> None:
        if (
            scope["type"] != "lifespan"
            and scope["path"].endswith(DOOR_PATH)
            and door.opens_for(scope)
            and MARKER not in scope
            and (self._perftui_probe is not None or getattr(self, EVERY_APP, False))
        ):
            await door.answer(scope, receive, send)
        else:
            await current(self, scope, receive, send)

    setattr(call, _HAS_DOOR, True)
    own = vars(served).get("__call__")
    served.__call__ = OwnCall(own.theirs, call) if isinstance(own, OwnCall) else call


def _adopt(app: Any, scope: Scope) -> HttpProbe | None:
    """Return a probe for an app that runs without one, if every app is to be instrumented."""
    # A sub-app's requests are timed by the app it is mounted in.
    if MARKER in scope or not getattr(app, EVERY_APP, False):
        return None
    agent = the_agent()
    with agent.own.guard.guarding("agent.instrument"):
        attach(app, read_settings(current_settings()))
    probe: HttpProbe | None = vars(app).get(PROBE_ATTRIBUTE)
    return probe


def _check_callable(app: object) -> None:
    """Raise TypeError for what a server could not call: better here than at the first request."""
    if isinstance(app, type):
        raise TypeError(f"instrument({app.__name__}): this is the class; give it the app: {app.__name__}()")
    if not callable(app):
        raise TypeError(f"instrument({app!r}): not an ASGI app")
    try:
        parameters = inspect.signature(app)
    except (TypeError, ValueError):  # of compiled code
        return
    try:
        parameters.bind("scope", "receive", "send")
    except TypeError:
        raise TypeError(
            f"instrument({getattr(app, '__name__', app)}): an ASGI app takes scope, receive and send; "
            "if this makes one, give it what it returns"
        ) from None


def _title_of(app: object) -> str:
    """Return what the app calls itself, if it does."""
    title = getattr(app, "title", None)
    return title if isinstance(title, str) and title != "FastAPI" else ""


def _version_of(app: object) -> str:
    """Return which version a FastAPI app says that it is, if it says so."""
    fastapi = any(base.__module__ == "fastapi.applications" for base in type(app).__mro__)
    version = getattr(app, "version", None) if fastapi else None
    return version if isinstance(version, str) and version != FASTAPI_DEFAULT else ""
