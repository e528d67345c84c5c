"""How one route's requests are spread over the workers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

from perftui.model.quantiles import latency_of
from perftui.model.splits import Split, Splits
from perftui.model.summary import Share
from perftui.model.tally import pid_of
from perftui_agent.wire.frames import RouteLabel, WorkerId


class Shares(Sequence[Share]):
    """The workers' shares of a route, by pid; added up when they are first looked at."""

    def __init__(self, parts: Sequence[Splits], route: RouteLabel) -> None:
        self._parts = parts
        self._route = route

    @cached_property
    def _rows(self) -> tuple[Share, ...]:
        counted: dict[WorkerId, Split] = {}
        for part in self._parts:
            for worker, routes in part.items():
                if split := routes.get(self._route):
                    counted[worker] = counted[worker].plus(split) if worker in counted else split
        return tuple(
            Share(worker, pid_of(worker), split.requests, split.errors, latency_of(split.latency))
            for worker, split in sorted(counted.items(), key=lambda item: pid_of(item[0]))
            if split.requests
        )

    @overload
    def __getitem__(self, index: int) -> Share: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Share, ...]: ...

    def __getitem__(self, index: int | slice) -> Share | tuple[Share, ...]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._rows == tuple(other)

    def __hash__(self) -> int:
        return hash(self._rows)

    def __repr__(self) -> str:
        return repr(self._rows)
