"""Times Redis commands, for redis-py 5 and newer, sync and asyncio, single servers and clusters.

Wraps the methods that all commands go through, on the classes: clients made earlier and later are
covered. A command counts once: in a pipeline as its part of the round trip, retries included. Names
and replies are read by `redis_commands`; no key or value is kept.
"""

from __future__ import annotations

import functools
import re
import sys
from typing import Any, NamedTuple

from perftui_agent.guard import Guard
from perftui_agent.probes.caches.redis_tap import CacheSink, Method, Tap, observed
from perftui_agent.probes.patches import bound_first
from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.wire.frames import Frame

OLDEST = 5
"""Major version; older ones have an asyncio client of another shape."""


class Hook(NamedTuple):
    """A method that commands go through."""

    module: str
    cls: str
    method: str
    is_async: bool
    is_batch: bool
    needed: bool = True


HOOKS = (
    Hook("redis.client", "Redis", "execute_command", False, False),
    Hook("redis.client", "Pipeline", "immediate_execute_command", False, False),
    Hook("redis.client", "Pipeline", "execute", False, True),
    Hook("redis.cluster", "RedisCluster", "execute_command", False, False),
    Hook("redis.cluster", "ClusterPipeline", "execute", False, True),
    Hook("redis.cluster", "TransactionStrategy", "_immediate_execute_command", False, False, needed=False),
    Hook("redis.asyncio.client", "Redis", "execute_command", True, False),
    Hook("redis.asyncio.client", "Pipeline", "immediate_execute_command", True, False),
    Hook("redis.asyncio.client", "Pipeline", "execute", True, True),
    Hook("redis.asyncio.cluster", "RedisCluster", "execute_command", True, False),
    Hook("redis.asyncio.cluster", "ClusterPipeline", "execute", True, True),
    Hook(
        "redis.asyncio.cluster",
        "TransactionStrategy",
        "_immediate_execute_command",
        True,
        False,
        needed=False,
    ),
)


class RedisProbe:
    """Watches every redis-py client of the process."""

    name = "redis"

    def __init__(self, sink: CacheSink, guard: Guard) -> None:
        self._tap = Tap(sink, guard)
        self._wrapped: list[tuple[Any, str, Method, Method]] = []
        """Class, name of the method, what it is now and what it was."""

    def attach(self) -> ProbeStatus:
        """Wrap the methods, once redis is imported, and all of them or none."""
        if self._wrapped:
            return ON
        redis = sys.modules.get("redis")
        # Another thread may be in the midst of importing it.
        if redis is None or getattr(redis.__spec__, "_initializing", False):
            return NOT_IMPORTED
        version = str(getattr(redis, "__version__", "?"))
        major = re.match(r"\d+", version)
        if major is None or int(major[0]) < OLDEST:
            return f"off: redis {version} is older than {OLDEST}"
        found = [(hook, _class_of(hook)) for hook in HOOKS]
        for hook, cls in found:
            if hook.needed and not callable(getattr(cls, hook.method, None)):
                return f"off: redis {version} has no {hook.cls}.{hook.method}"
        for hook, cls in found:
            if cls is not None and hook.method in vars(cls):
                self._wrap(cls, hook)
        self._tap.attached = True
        return ON

    def detach(self) -> None:
        """Put the methods back; what others have wrapped since is left there, and does nothing."""
        self._tap.attached = False
        for cls, method, ours, original in reversed(self._wrapped):
            if vars(cls).get(method) is ours:
                setattr(cls, method, original)
        self._wrapped.clear()

    def fill(self, frame: Frame) -> None:
        """There is nothing to read: commands are counted as they happen."""

    def _wrap(self, cls: Any, hook: Hook) -> None:
        original: Method = vars(cls)[hook.method]
        ours = functools.wraps(original)(
            observed(bound_first(original), self._tap, is_async=hook.is_async, is_batch=hook.is_batch)
        )
        setattr(cls, hook.method, ours)
        self._wrapped.append((cls, hook.method, ours, original))


def _class_of(hook: Hook) -> Any:
    return getattr(sys.modules.get(hook.module), hook.cls, None)
