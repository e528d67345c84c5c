"""What the dashboard lives on: summaries of a service, and dumps of its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from perftui.model.summary import Summary
from perftui_agent.wire.frames import Dump, Refusal, WorkerId


class Feed(Protocol):
    """A live target, a recording, or made-up data: the screens can't tell."""

    async def run(self, arrived: Callable[[WorkerId | None], None]) -> None:
        """Follow the target until cancelled; tell of each frame who sent it, None for any other news."""

    def summary(self, window_s: float) -> Summary:
        """Return the state over the window that ends now, or at the hold."""

    def hold(self) -> None:
        """Let `summary` tell of this moment from now on; data keeps coming."""

    def release(self) -> None:
        """Let `summary` tell of the present again."""

    async def dump(self, worker: WorkerId) -> Dump | Refusal:
        """Return the stacks of every thread of a worker, or why there are none."""
