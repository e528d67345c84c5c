"""What is known of one fault: how it shows, whom it must be told of, how it is switched, who runs into it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fastapi import APIRouter, FastAPI

from demo_app.faults.switches import Mode
from demo_app.visits import Visit

Need: TypeAlias = Literal["postgresql", "workers", "quota", "upstreams"]
"""What a fault can't be without: a server that knows sessions, two workers, a group with a quota, or the
services that the shop calls."""

Switched: TypeAlias = Callable[[FastAPI, Mode], Awaitable[None]]
"""Is told in each worker what its fault is from now on."""

Crowd: TypeAlias = Callable[[str, random.Random], Coroutine[None, None, None]]
"""Customers who do more than ask: they are given the shop's URL, and are cancelled in the end."""


@dataclass(frozen=True, slots=True)
class Often:
    """Visits while a fault, or its near miss, is on."""

    per_s: float
    make: Callable[[random.Random], Visit]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the shop, named after the finding that tells of it."""

    kind: str
    subject: str
    """Of the finding: a regular expression that is found in it."""
    route: str
    """Where customers feel it; empty where they feel it everywhere."""
    shows: str
    """What a dashboard shows of it."""
    look: str
    """The file and function to open."""
    mend: str
    """What the healthy code does instead."""
    near: str
    """What looks nearly like it, and is none."""
    router: APIRouter | None = None
    switched: Switched | None = None
    visits: tuple[Often, ...] = ()
    crowd: Crowd | None = None
    needs: frozenset[Need] = frozenset()
    outlives_worker: bool = False
    """Whether it is to be switched off as a worker ends: what it has made would stay."""
