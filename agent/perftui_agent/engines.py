"""The engines that the app uses, by the ids under which others may speak of them.

An id is what its pool is called, and so it stands in frames already; it says nothing of who connects, or
how. Engines are known weakly: one that the app has let go of is not there any more.
"""

from __future__ import annotations

import weakref
from typing import Any, TypeAlias

EngineId: TypeAlias = str
"""What the agent calls an engine: `db.internal:5432/shop`, of two alike the second `… #2`."""

MOST = 50
"""Engines that are known at a time; an app that makes one for each request must not be remembered for it."""


class Engines:
    """Knows engines weakly. Added to on the app's threads, asked on the agent's."""

    def __init__(self) -> None:
        self._engines: dict[EngineId, weakref.ref[Any]] = {}

    def add(self, name: EngineId, engine: Any) -> None:
        """Know an engine under a name that no other living one has."""
        if len(self._engines) >= MOST and name not in self._engines:
            self._engines = {name: ref for name, ref in list(self._engines.items()) if ref() is not None}
            if len(self._engines) >= MOST:
                return
        # What `execution_options` returns goes with whoever asked for it; the engine behind it stays.
        self._engines[name] = weakref.ref(getattr(engine, "_proxied", engine))

    def forget(self, name: EngineId) -> None:
        """Know it no more."""
        self._engines.pop(name, None)

    def get(self, name: EngineId) -> Any | None:
        """Return an engine; None if there is none of this name, or it is gone."""
        ref = self._engines.get(name)
        return ref() if ref is not None else None

    def all(self) -> dict[EngineId, Any]:
        """Return the engines there are."""
        known = [(name, ref()) for name, ref in list(self._engines.items())]
        return {name: engine for name, engine in known if engine is not None}
