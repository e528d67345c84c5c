"""Stands for the `__call__` that a class of apps has of its own, and is called in its place.

A class that is defined in a script travels by its value (cloudpickle, Ray), and so does what it has: a
function of ours would have to take this process's agent along. This takes the class's own, and finds the
agent of the process it arrives in.
"""

from __future__ import annotations

from types import MethodType
from typing import Any


class OwnCall:
    """A method, as its class has it: `theirs` is what the class came with, `ours` what is called."""

    __slots__ = ("ours", "theirs")

    def __init__(self, theirs: Any, ours: Any) -> None:
        self.theirs = theirs
        self.ours = ours

    def __get__(self, app: Any, cls: type | None = None) -> Any:
        """Bind it as a function is bound: servers ask whether that is a coroutine function."""
        return self.ours if app is None else MethodType(self.ours, app)
