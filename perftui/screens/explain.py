"""How a database goes about a statement."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.keytable.key import Place
from perftui.present.details.explain import explain_lines, refused_lines, waiting_lines
from perftui.present.text.cells import Line
from perftui.screens.detail import DetailView
from perftui.screens.view import Host, View
from perftui.widgets.bindings import bindings
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.parts import WorkerId


def explain_statement(view: View[None], fingerprint: str | None) -> None:
    """Show the plan of a statement: it is only asked for, so nobody is asked before."""
    summary = view.picture.summary
    there = [worker.identity.id for worker in summary.workers if worker.state != "gone"]
    query = next((each for each in summary.queries if each.fingerprint == fingerprint), None)
    if query is None or not fingerprint:
        view.host.remark("no statement to explain here")
    elif not there:
        view.host.remark("no worker to ask")
    else:
        view.app.push_screen(ExplainView(view.host, there, fingerprint))


class ExplainView(DetailView, inherit_bindings=True):
    """The plan of one statement."""

    BINDINGS = bindings("explain")
    PLACES: tuple[Place, ...] = ("explain", "detail", "everywhere")

    def __init__(
        self,
        host: Host,
        workers: Sequence[WorkerId],
        fingerprint: str,
        taken: Explanation | None = None,
    ) -> None:
        super().__init__(host)
        self._workers = workers
        self._fingerprint = fingerprint
        self._result: Explanation | Refusal | None = taken

    def on_mount(self) -> None:
        """Ask for it, unless it is to be shown what was told before."""
        if self._result is None:
            self.run_worker(self._take(), exclusive=True)

    def crumbs(self) -> tuple[str, ...]:
        """Return where this is."""
        return ("statement", "plan")

    def scope(self) -> str:
        """Return no route: the targets are not what this is about."""
        return ""

    def lines(self, width: int, _height: int) -> list[Line]:
        """Return the plan and what it means, or that it is asked for."""
        if isinstance(self._result, Explanation):
            return explain_lines(self._result, width)
        if isinstance(self._result, Refusal):
            return refused_lines(self._result, width)
        return waiting_lines(width)

    def action_again(self) -> None:
        """Ask anew, unless it is being asked."""
        if self._result is not None:
            self._result = None
            self.run_worker(self._take(), exclusive=True)
            self.show()

    async def _take(self) -> None:
        self._result = await self.host.explain(self._workers, self._fingerprint)
        self.show()
