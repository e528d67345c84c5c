"""Measures which functions one thread calls, while it is told to: the part of a profiler that Python brings.

Until Python 3.11 that is cProfile's own, written in C, of which each thread can have one. From 3.12 on it
sees all threads at once and takes their calls for each other's, and while it is on any other one that the
app starts fails. So there a function of ours is called for each call of the thread, by `sys.setprofile`: 0.7
to 1.6 µs a call against 0.3. `sys.monitoring` would cost about as much, 0.8 to 1.1, and all threads at that.
"""

from __future__ import annotations

import sys
import threading
from _lsprof import Profiler
from collections.abc import Iterator
from time import perf_counter_ns
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple, Protocol, TypeAlias

Key: TypeAlias = "CodeType | str"
"""A function by its code, or by its description if it is written in C."""


class Took(NamedTuple):
    """What the calls of a function took; `caller` is None for the sum of all."""

    caller: Key | None
    function: Key
    calls: int
    recursive: int
    """Of these, from within itself."""
    own_ns: int
    total_ns: int


class Meter(Protocol):
    """Measures one thread at a time, for as long as it is started."""

    inside: bool
    """Whether somebody has it, and may have started it."""

    def start(self) -> None:
        """Begin to measure this thread, in which nothing measures."""

    def stop(self) -> bool:
        """End it; tell whether nobody else has begun to measure meanwhile, whose turn it then is."""

    def took(self) -> Iterator[Took]:
        """Yield what has been measured, after the end."""

    def let_go(self) -> None:
        """Be of no use any more; on a thread that nobody measures."""


def who_measures() -> object:
    """Return the profiler of this thread: a `Meter`, somebody else's, or None."""
    profiler: object = sys.getprofile()
    if profiler is None:
        return _monitoring_profiler()
    return getattr(profiler, "meter", None) or _owner(profiler) or profiler


def is_ours(profiler: object) -> bool:
    """Tell a meter of ours from what else measures."""
    return isinstance(profiler, LocalMeter | CallbackMeter)


def others_measure() -> str:
    """Return what else measures this thread or is to measure new ones; empty for nothing."""
    for profiler in (who_measures(), threading.getprofile()):
        if profiler is not None and not is_ours(profiler):
            if isinstance(profiler, str):
                return profiler
            kind = profiler if hasattr(profiler, "__qualname__") else type(profiler)
            return f"{kind.__module__}.{kind.__qualname__}"
    return ""


def _owner(profiler: object) -> object:
    owner = getattr(profiler, "__self__", None)
    return owner if isinstance(owner, CallbackMeter) else None


def _monitoring_profiler() -> object:
    """Return who has the one place of a profiler that Python 3.12 and later have."""
    monitoring: Any = getattr(sys, "monitoring", None)
    return None if monitoring is None else monitoring.get_tool(monitoring.PROFILER_ID)


class _Local(Profiler):
    """Python's own, which knows whose it is."""

    meter: LocalMeter


class LocalMeter:
    """Measures by cProfile, which until Python 3.11 is each thread's own."""

    def __init__(self) -> None:
        self.inside = False
        self._profiler = _Local()
        self._profiler.meter = self
        self.start = self._profiler.enable

    def stop(self) -> bool:
        """End it, unless another has taken the place: to end this one would end that."""
        there: object = sys.getprofile()
        if there is not self._profiler:
            return False
        self._profiler.disable()
        return True

    def took(self) -> Iterator[Took]:
        """Yield what has been measured."""
        for entry in self._profiler.getstats():
            yield _took(None, entry)
            for called in entry.calls or ():
                yield _took(entry.code, called)

    def let_go(self) -> None:
        """End it here too: one that was put out elsewhere would end whoever measures where it is freed."""
        self._profiler.disable()
        self._profiler.clear()


def _took(caller: Key | None, entry: Any) -> Took:
    own_ns, total_ns = round(entry.inlinetime * 1e9), round(entry.totaltime * 1e9)
    return Took(caller, entry.code, entry.callcount, entry.reccallcount, own_ns, total_ns)


class _Open:
    """A call that has not returned."""

    __slots__ = ("began_ns", "inner_ns", "key")

    def __init__(self, key: Any, began_ns: int) -> None:
        self.key, self.began_ns, self.inner_ns = key, began_ns, 0


class CallbackMeter:
    """Measures by a function that Python calls as another is called and returns."""

    def __init__(self) -> None:
        self.inside = False
        self._open: list[_Open] = []
        self._depth: dict[Any, int] = {}
        self._sums: dict[tuple[Any, Any], list[int]] = {}
        """Of caller (None: any) and function: calls, recursive calls, own and total nanoseconds."""
        self._callback = self._event

    def start(self) -> None:
        """Begin; what was open when it last ended is over."""
        sys.setprofile(self._callback)

    def stop(self) -> bool:
        """End it, unless another has taken the place."""
        ours = sys.getprofile() is self._callback
        if ours:
            sys.setprofile(None)
        self._close(0, perf_counter_ns())
        return ours

    def _event(self, frame: FrameType, event: str, arg: Any) -> None:
        now = perf_counter_ns()
        if event == "call":
            self._begin(frame.f_code, now)
        elif event == "c_call":
            self._begin(_built_in(arg), now)
        else:
            key = frame.f_code if event == "return" else _built_in(arg)
            # Greenlets leave in the midst of a call: what is above the one that returns has gone with them.
            for at in range(len(self._open) - 1, -1, -1):
                if self._open[at].key is key or self._open[at].key == key:
                    self._close(at, now)
                    return

    def _begin(self, key: Any, now: int) -> None:
        self._depth[key] = self._depth.get(key, 0) + 1
        self._open.append(_Open(key, now))

    def _close(self, down_to: int, now: int) -> None:
        while len(self._open) > down_to:
            call = self._open.pop()
            total_ns = now - call.began_ns
            depth = self._depth[call.key] = self._depth[call.key] - 1
            caller = self._open[-1] if self._open else None
            if caller is not None:
                caller.inner_ns += total_ns
            for of in (None, caller.key) if caller is not None else (None,):
                sums = self._sums.setdefault((of, call.key), [0, 0, 0, 0])
                sums[0] += 1
                sums[1] += depth > 0
                sums[2] += total_ns - call.inner_ns
                sums[3] += 0 if depth else total_ns

    def took(self) -> Iterator[Took]:
        """Yield what has been measured."""
        for (caller, key), (calls, recursive, own_ns, total_ns) in self._sums.items():
            told = None if caller is None else _described(caller)
            yield Took(told, _described(key), calls, recursive, own_ns, total_ns)

    def let_go(self) -> None:
        """Forget everything."""
        self._sums.clear()


def _built_in(function: Any) -> tuple[type | str | None, str]:
    """Return what a function in C is known by: nothing that it is bound to is kept."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if owner is None:
        return getattr(function, "__objclass__", None), name
    return owner.__name__ if isinstance(owner, ModuleType) else type(owner), name


def _described(key: Any) -> Key:
    """Return a function's code, or what cProfile calls one that is written in C."""
    if isinstance(key, CodeType):
        return key
    owner, name = key
    if isinstance(owner, type):
        return f"<method {name!r} of {owner.__qualname__!r} objects>"
    return f"<built-in method {owner}.{name}>" if owner else f"<built-in method {name}>"


new_meter: type[LocalMeter] | type[CallbackMeter]
new_meter = LocalMeter if sys.version_info < (3, 12) else CallbackMeter
