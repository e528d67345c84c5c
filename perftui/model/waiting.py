"""What waits before the app: requests for the loop to turn, connections to be accepted.

A request's clock starts when its bytes have reached the machine, where the kernel can be asked; the time
until the app is called is part of its latency, and kept apart as queued.
"""

from __future__ import annotations

from collections.abc import Iterable

from perftui.model.measures import Queued, Totals
from perftui.model.packed import Packed
from perftui.model.quantiles import quantile_ms
from perftui.model.route_summary import RouteSummary
from perftui.model.worker_summary import WorkerSummary
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.process import Listener

NOT_KNOWN = Queued()

PROBE = "queue"
"""Under this name a worker says whether its kernel can be asked, or why not."""


def queued_of(waited: LatencySketch | Packed, known: int) -> Queued:
    """Return how long requests waited before the app: of `known` ones those in `waited`, the others not.

    The quantile is over all that are known: those that did not wait are zeros below the sketch.
    """
    known = max(known, waited.count)
    if not known:
        return NOT_KNOWN
    rank = max(1, -((-known * 95) // 100))
    among = rank - (known - waited.count)
    p95_ms = quantile_ms(waited, among / waited.count) if among > 0 else 0.0
    return Queued(known, p95_ms, waited.total / 1e6 / known)


def queued_share(row: RouteSummary | WorkerSummary | Totals) -> float | None:
    """Return how much of an average request's latency it waited before the app; None if it isn't known."""
    mean_ms, queued_ms = row.latency.mean_ms, row.queued.ms_per_request
    return min(queued_ms / mean_ms, 1.0) if mean_ms and queued_ms is not None else None


def not_asked(workers: Iterable[WorkerSummary]) -> dict[str, list[int]]:
    """Return why the time before the app isn't known, and of which workers: `off: Unix sockets …`."""
    why: dict[str, list[int]] = {}
    for worker in workers:
        state = worker.probes.get(PROBE, "on")
        if state != "on" and worker.state != "gone":
            why.setdefault(state, []).append(worker.pid)
    return why


def most_waiting(listener: Listener) -> int:
    """Return the most connections that were seen to wait at a socket."""
    return max(listener.most or 0, listener.waiting or 0)


def fullness(listener: Listener) -> float:
    """Return how full the accept queue of a socket was at most: 1 is its limit."""
    return most_waiting(listener) / listener.limit if listener.limit else 0.0
