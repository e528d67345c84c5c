"""The shape of what the snapshot document says of quotas, machines and the GIL; part of `shape`."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypedDict

import msgspec

Percentage: TypeAlias = Annotated[float, msgspec.Meta(description="per cent of the time", ge=0, le=100)]
"""A share of the time."""


class ThrottledDocument(TypedDict):
    """A quota of CPU that holds for a worker, and how it was used up over the window."""

    quota_cores: float
    group: str | None
    periods: int
    throttled: int
    ms: float
    stopped_percent: Percentage


class PressureDocument(TypedDict):
    """For which part of the time some tasks, or all that had something to do, waited for a thing."""

    some_percent: Percentage
    full_percent: Percentage | None


class HolderDocument(TypedDict):
    """Who held a worker's GIL; all null: several that are not told apart."""

    thread: str | None
    where: str | None
    route: str | None
    percent: Percentage


class GilDocument(TypedDict):
    """An estimate of how long a worker's GIL was held: in 95 of 100 cases no further off than the error."""

    held_percent: Percentage
    error_percent: Percentage
    looks: int
    looks_by: int
    by: list[HolderDocument]


class MachineDocument(TypedDict):
    """A machine that workers run on, all its processors and everybody else's work included."""

    host: str
    pids: list[int]
    cores: int | None
    load: float | None
    runnable: int | None
    busy_percent: Percentage | None
    steal_percent: Percentage | None
    pressure: dict[str, PressureDocument] | None
