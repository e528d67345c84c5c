"""All checks of a place, in the order in which they are read: this host first, then worker by worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from perftui.doctor.directory import check_directories
from perftui.doctor.door import check_doors
from perftui.doctor.probes import check_probes
from perftui.doctor.rungs import check_rungs
from perftui.doctor.spy import check_spy_here
from perftui.doctor.surroundings import Check, Surroundings, Worker
from perftui.doctor.switches import check_switches
from perftui.doctor.target import check_target
from perftui.doctor.terminal import check_terminal
from perftui.doctor.tracing import check_tracing_here
from perftui.doctor.versions import check_versions

OfHost: TypeAlias = Callable[[Surroundings], list[Check]]
OfWorker: TypeAlias = Callable[[Surroundings, Worker], list[Check]]

OF_HOST: Sequence[OfHost] = (
    check_target,
    check_directories,
    check_tracing_here,
    check_spy_here,
    check_switches,
    check_doors,
    check_terminal,
)

OF_WORKER: Sequence[OfWorker] = (check_versions, check_rungs, check_probes)


def examine(place: Surroundings) -> list[Check]:
    """Return what every check says of a place."""
    checks = [check for look in OF_HOST for check in look(place)]
    for worker in place.workers:
        checks += [check for look in OF_WORKER for check in look(place, worker)]
    return checks


def in_the_way(checks: Iterable[Check]) -> list[Check]:
    """Return those that say that something is in the way."""
    return [check for check in checks if check.verdict == "wrong"]
