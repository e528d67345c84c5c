"""One worker: its process, its loop, what it serves right now."""

from __future__ import annotations

from perftui.keys import Place
from perftui.present.cells import Line
from perftui.present.worker_detail import worker_lines
from perftui.screens.detail import DetailView
from perftui.screens.dump import ask_and_dump
from perftui.screens.view import Host
from perftui.widgets.bindings import bindings
from perftui_agent.wire.frames import WorkerId


class WorkerView(DetailView, inherit_bindings=True):
    """The detail of one worker."""

    BINDINGS = bindings("worker")
    PLACES: tuple[Place, ...] = ("worker", "detail", "everywhere")

    def __init__(self, host: Host, worker: WorkerId) -> None:
        super().__init__(host)
        self._worker = worker

    def crumbs(self) -> tuple[str, ...]:
        """Return the worker."""
        worker = self.picture.summary.worker(self._worker)
        return (f"worker {worker.pid}" if worker else "worker",)

    def scope(self) -> str:
        """Return no route: workers have no targets."""
        return ""

    def lines(self, width: int, height: int) -> list[Line]:
        """Return all that is known of the worker."""
        return worker_lines(self.picture.summary, self._worker, width, height)

    def action_dump(self) -> None:
        """Ask, then dump this worker."""
        ask_and_dump(self, self._worker)
