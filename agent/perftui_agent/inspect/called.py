"""What the meters of several requests have measured, added up and as it goes over the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from perftui_agent.inspect import meters, stepping
from perftui_agent.inspect.meters import Key
from perftui_agent.inspect.stepping import Run
from perftui_agent.inspect.text import printable
from perftui_agent.places import short_file
from perftui_agent.wire.actions import Call, CalledFunction

MAX_FUNCTIONS = 2_000
"""Of one profile, those that took most themselves."""

MAX_CALLS = 8_000

_NAME, _FILE = 200, 500

T = TypeVar("T")

IN_C = "~"
"""What stands for the file of a function that has none, in Python's profiles."""

_OURS = frozenset({meters.__file__, stepping.__file__})

_OURS_IN_C = frozenset(
    {
        "<method 'send' of 'coroutine' objects>",
        "<method 'throw' of 'coroutine' objects>",
        "<method 'disable' of '_lsprof.Profiler' objects>",
        "<built-in method sys.getprofile>",
        "<built-in method sys.setprofile>",
    }
)
"""What begins and ends each step."""


class Sum(NamedTuple):
    """What the calls of a function took, or those from one other."""

    calls: int = 0
    primitive: int = 0
    own_ns: int = 0
    total_ns: int = 0


class Added(NamedTuple):
    """Of all functions, and of who called whom."""

    functions: dict[Key, Sum]
    calls: dict[tuple[Key, Key], Sum]


def added_up(runs: Iterable[Run]) -> Added:
    """Return what some requests, which are over, have called."""
    added = Added({}, {})
    for run in runs:
        for meter in run.meters:
            if meter.inside:
                continue
            for took in meter.took():
                if _is_ours(took.function) or (took.caller is not None and _is_ours(took.caller)):
                    continue
                more = Sum(took.calls, took.calls - took.recursive, took.own_ns, took.total_ns)
                if took.caller is None:
                    added.functions[took.function] = _plus(added.functions.get(took.function), more)
                else:
                    pair = took.caller, took.function
                    added.calls[pair] = _plus(added.calls.get(pair), more)
        for code, times in run.resumed.items():
            _take_back(added.functions, code, times)
        for pair, times in run.resumed_from.items():
            _take_back(added.calls, pair, times)
    return added


def told(added: Added) -> tuple[list[CalledFunction], list[Call], int]:
    """Return the functions and calls for the wire, and how many functions were too much."""
    ranked = sorted(added.functions.items(), key=lambda item: (-item[1].own_ns, -item[1].total_ns))
    kept = ranked[:MAX_FUNCTIONS]
    places = {key: at for at, (key, _) in enumerate(kept)}
    calls = [
        Call(places[caller], places[callee], *each)
        for (caller, callee), each in sorted(added.calls.items(), key=lambda item: -item[1].total_ns)
        if caller in places and callee in places
    ]
    return [_function(key, each) for key, each in kept], calls[:MAX_CALLS], len(ranked) - len(kept)


def _function(key: Key, each: Sum) -> CalledFunction:
    if isinstance(key, str):
        return CalledFunction(printable(key, _NAME), IN_C, 0, "", *each)
    file = printable(key.co_filename, _FILE)
    name = printable(key.co_qualname, _NAME)
    return CalledFunction(name, file, key.co_firstlineno, short_file(file), *each)


def _is_ours(key: Key) -> bool:
    return key in _OURS_IN_C if isinstance(key, str) else key.co_filename in _OURS


def _plus(before: Sum | None, more: Sum) -> Sum:
    if before is None:
        return more
    return Sum(*(a + b for a, b in zip(before, more, strict=True)))


def _take_back(sums: dict[T, Sum], of: Any, times: int) -> None:
    """Take back the calls that were none: a coroutine that goes on counts as called once more."""
    if (each := sums.get(of)) is not None:
        calls = max(each.calls - times, 1)
        sums[of] = each._replace(calls=calls, primitive=min(max(each.primitive - times, 1), calls))
