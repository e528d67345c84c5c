"""One worker: its process, its loop, what it serves right now."""

from __future__ import annotations

from perftui.keytable.key import Place
from perftui.present.details.worker import worker_rows
from perftui.present.text.evidence import Row
from perftui.screens.dump import ask_and_dump
from perftui.screens.evidence import EvidenceView
from perftui.screens.memory import ask_and_watch_memory
from perftui.screens.profile import ask_and_profile
from perftui.screens.view import Host
from perftui.widgets.bindings import bindings
from perftui_agent.wire.parts import WorkerId


class WorkerView(EvidenceView, inherit_bindings=True):
    """The detail of one worker."""

    BINDINGS = bindings("worker")
    PLACES: tuple[Place, ...] = ("worker", "evidence", "rows", "everywhere")

    def __init__(self, host: Host, worker: WorkerId, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._worker = worker

    def name_here(self) -> str:
        """Return the worker."""
        worker = self.picture.summary.worker(self._worker)
        return f"worker {worker.pid}" if worker else "worker"

    def rows(self, width: int, height: int) -> list[Row]:
        """Return all that is known of the worker."""
        return worker_rows(self.picture, self._worker, width, height)

    def action_dump(self) -> None:
        """Ask, then dump this worker."""
        ask_and_dump(self, self._worker)

    def action_profile(self) -> None:
        """Ask, then profile this worker."""
        ask_and_profile(self, [self._worker])

    def action_memory(self) -> None:
        """Ask, then watch what grows in this worker."""
        ask_and_watch_memory(self, self._worker)
