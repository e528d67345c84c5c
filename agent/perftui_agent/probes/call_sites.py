"""Where in the app's code a statement or an outgoing call comes from, through SQLAlchemy's greenlets.

An async session runs SQLAlchemy in a greenlet of its own, whose stack ends where it was started; the
coroutine that awaits it is on the stack of the parent greenlet. A walk costs some 3 µs, so it is not
made for every statement.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from perftui_agent.places import is_user_code, place_of_frame
from perftui_agent.wire.parts import CodePlace

MAX_FRAMES = 100

MAX_FILES = 4_096

_USER, _LIBRARY, _PASSED, _END = range(4)

_LAYERS = frozenset(
    {"sqlalchemy", "greenlet", "sqlmodel", "aiosqlite", "asyncpg", "psycopg", "perftui_agent"}
    | {"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "requests", "urllib3"}
    | {"pydantic", "fastapi", "starlette", "anyio"}
)
"""Between the app and its database, or another service; and what runs the app, which reads a response model's
attributes when the endpoint has returned: then no line of the app's own is to be named."""

_LOOPS = ("uvloop", "uvicorn", "gunicorn", "hypercorn", "granian", "anyio._backends")
_LOOP_MODULES = frozenset({"asyncio.events", "asyncio.base_events", "asyncio.runners"})
"""What is further out did not call: it started the loop that runs everything."""

_files: dict[str, int] = {}


def call_site() -> CodePlace:
    """Return the innermost place in the app's own code, else in the library that calls, else ''."""
    frame: FrameType | None = sys._getframe(1)
    greenlet = _running_greenlet()
    caller: FrameType | None = None
    for _ in range(MAX_FRAMES):
        if frame is None:
            greenlet = getattr(greenlet, "parent", None)
            frame = getattr(greenlet, "gr_frame", None)
            if frame is None:
                break
        file = frame.f_code.co_filename
        kind = _files.get(file)
        if kind is None:
            kind = _kind_of(frame, file)
        if kind == _USER:
            return place_of_frame(frame)
        if kind == _END:
            break
        if kind == _LIBRARY and caller is None:
            caller = frame
        frame = frame.f_back
    return place_of_frame(caller) if caller is not None else ""


def _running_greenlet() -> Any:
    module = sys.modules.get("greenlet")
    return module.getcurrent() if module is not None else None


def _kind_of(frame: FrameType, file: str) -> int:
    module: str = frame.f_globals.get("__name__", "")
    package = module.partition(".")[0]
    if is_user_code(file):
        kind = _USER
    elif module in _LOOP_MODULES or module.startswith(_LOOPS):
        kind = _END
    elif package in _LAYERS or package in sys.stdlib_module_names:
        kind = _PASSED
    else:
        kind = _LIBRARY  # an app that is itself installed has no other code "of its own"
    if len(_files) < MAX_FILES:
        _files[file] = kind
    return kind
