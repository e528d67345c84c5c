"""What grows in a worker's memory."""

from __future__ import annotations

import asyncio
import time

from perftui.keytable.key import Place
from perftui.present.details.memory import memory_lines, refused_lines, waiting_lines
from perftui.present.text.cells import Line
from perftui.screens.confirm import Confirm
from perftui.screens.detail import DetailView
from perftui.screens.view import Host, View
from perftui.widgets.bindings import bindings
from perftui_agent.wire.actions import Memory, Progress
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.parts import WorkerId

FOR_S = 60.0


def ask_and_watch_memory(view: View[None], worker_id: WorkerId | None) -> None:
    """Ask whether to watch what grows in a worker, and show it if the answer is yes."""
    if why := view.host.refused():
        view.host.remark(why)
        return
    worker = view.picture.summary.worker(worker_id) if worker_id else None
    if worker is None or worker_id is None:
        view.host.remark("no worker to watch yet")
        return
    chosen: WorkerId = worker_id

    def answered(yes: bool | None) -> None:
        if yes:
            view.app.push_screen(MemoryView(view.host, chosen))

    question = f"Watch what grows in worker {worker.pid} for {FOR_S:g} s? It is up to ten times slower."
    view.app.push_screen(Confirm(view.host, question), answered)


class MemoryView(DetailView, inherit_bindings=True):
    """What grows in one worker, between two moments."""

    BINDINGS = bindings("memory")
    PLACES: tuple[Place, ...] = ("memory", "detail", "everywhere")

    def __init__(self, host: Host, worker: WorkerId, taken: Memory | None = None) -> None:
        super().__init__(host)
        self._worker = worker
        self._result: Memory | Refusal | None = taken
        self._progress: Progress | None = None
        self._finish = asyncio.Event()
        self._asked_at = 0.0

    def on_mount(self) -> None:
        """Begin to watch, unless it is to be shown what was seen before."""
        if self._result is None:
            self.action_again()

    def on_unmount(self) -> None:
        """End it: nobody looks any more."""
        self._finish.set()

    def crumbs(self) -> tuple[str, ...]:
        """Return the worker."""
        worker = self.picture.summary.worker(self._worker)
        return (f"worker {worker.pid}" if worker else "worker", "memory")

    def scope(self) -> str:
        """Return no route: the targets are not what this is about."""
        return ""

    def lines(self, width: int, _height: int) -> list[Line]:
        """Return what has grown, or how far it is."""
        if isinstance(self._result, Memory):
            return memory_lines(self._result, width)
        if isinstance(self._result, Refusal):
            return refused_lines(self._result, width)
        return waiting_lines(self._progress, max(FOR_S - (time.monotonic() - self._asked_at), 0.0), width)

    def action_again(self) -> None:
        """Watch, unless it is being watched."""
        if self._asked_at and self._result is None:
            return
        self._result, self._progress, self._asked_at = None, None, time.monotonic()
        self._finish = asyncio.Event()
        self.run_worker(self._take(), exclusive=True)
        self.show()

    def action_finish(self) -> None:
        """End it now, with what there is."""
        self._finish.set()

    async def _take(self) -> None:
        def told(progress: Progress) -> None:
            self._progress = progress
            self.show()

        self._result = await self.host.watch_memory(self._worker, for_s=FOR_S, told=told, finish=self._finish)
        self.show()
