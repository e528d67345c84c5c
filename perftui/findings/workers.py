"""Workers as subjects of findings."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary


def name_of(worker: WorkerSummary, summary: Summary) -> str:
    """Return what to call a worker: its pid, and its host where there are several."""
    hosts = {each.identity.host for each in summary.workers}
    where = f" on {worker.identity.host}" if len(hosts) > 1 else ""
    return f"worker {worker.pid}{where}"


def at_work(summary: Summary) -> Iterator[WorkerSummary]:
    """Yield the workers that aren't gone and have been heard."""
    for worker in summary.workers:
        if worker.state != "gone" and worker.last_seen is not None:
            yield worker
