"""Long work in steps: a generator that yields wherever it may be interrupted, and returns what it has made.

Each second hundreds of routes of many workers are added up, and a key that is pressed meanwhile should not
wait for that. What is worked on never changes, so steps may be left at any time, and their result is that of
the moment at which they began, however long they take.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]
"""Work that yields after a millisecond or so, and returns a `T`."""

EVERY = 16
"""So many routes or statements are added up in one step."""


def finished(steps: Steps[T]) -> T:
    """Do all steps one after the other; return what they make."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: T = done.value
            return made
