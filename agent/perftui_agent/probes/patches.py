"""Puts our functions in the place of other people's, and takes them back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any


def takes(function: Callable[..., Any], count: int) -> bool:
    """Say whether a function takes so many arguments and no more, so that ours can stand in for it.

    Others may have put a wrapper there already, which takes whatever comes.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    any_number = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    named = sum(parameter.kind not in _VARIABLE for parameter in parameters)
    return named == count or (any_number and named < count)


def is_known_by(function: Callable[..., Any], *names: str) -> bool:
    """Say whether a function's parameters are these: a wrapper with the same ones saves what it costs to
    take whatever comes, four times as much as the rest of a call."""
    try:
        return tuple(inspect.signature(function).parameters) == names
    except (TypeError, ValueError):
        return False


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def bound_first(method: Any) -> Callable[..., Any]:
    """Return what calls `method` with an instance as its first argument.

    Others' wrappers, as OpenTelemetry's, are no functions: they must be bound, or they take the instance for
    the first argument.
    """
    if type(method) is FunctionType:  # by `isinstance` a proxy is one too
        return method

    def bound(self: Any, /, *args: Any, **options: Any) -> Any:
        return method.__get__(self, type(self))(*args, **options)

    return bound


_INHERITED = object()


class Patches:
    """What was replaced on classes. Setting an attribute is atomic: no thread ever sees half of it."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._replaced)

    def replace(self, owner: Any, name: str, ours: Any) -> None:
        """Put `ours` where `owner` itself (not a base of it) has an attribute."""
        theirs = vars(owner)[name]
        setattr(owner, name, ours)
        self._replaced.append((owner, name, ours, theirs))

    def put(self, owner: Any, name: str, ours: Any) -> None:
        """Put `ours` where `owner` may have an attribute of its own, or may have inherited it."""
        theirs = vars(owner).get(name, _INHERITED)
        setattr(owner, name, ours)
        self._replaced.append((owner, name, ours, theirs))

    def have(self, owner: Any, name: str) -> bool:
        """Say whether what is there is ours."""
        there = vars(owner).get(name)
        return any(ours is there for _, _, ours, _ in self._replaced)

    def take_back(self) -> None:
        """Put the originals back, but for what somebody else has replaced in the meantime."""
        while self._replaced:
            owner, name, ours, theirs = self._replaced.pop()
            if vars(owner).get(name) is not ours:
                continue
            if theirs is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, theirs)
