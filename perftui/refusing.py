"""What a feed answers whose service does not run: nothing can be asked of what was.

What was taken then is in the recording, and on its timeline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from perftui.model.database import Databases
from perftui_agent.wire.actions import Functions, Memory, Profile, Progress
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.parts import RouteLabel, WorkerId

REFUSED = "this is a recording: nothing can be asked of a service that was"

ADVICE = "what was taken then is on the timeline: 7"


class Refusing:
    """The part of a feed that asks workers, where there are none."""

    async def dump(self, worker: WorkerId, *, locals_of: str = "") -> Dump | Refusal:  # noqa: ARG002 - as a feed
        """Refuse."""
        return _refused()

    async def profile(
        self,
        worker: WorkerId,  # noqa: ARG002 - as a feed
        *,
        for_s: float,  # noqa: ARG002
        by_route: bool,  # noqa: ARG002
        told: Callable[[Progress], None],  # noqa: ARG002
        finish: asyncio.Event,  # noqa: ARG002
    ) -> Profile | Refusal:
        """Refuse."""
        return _refused()

    async def memory(
        self,
        worker: WorkerId,  # noqa: ARG002 - as a feed
        *,
        for_s: float,  # noqa: ARG002
        told: Callable[[Progress], None],  # noqa: ARG002
        finish: asyncio.Event,  # noqa: ARG002
    ) -> Memory | Refusal:
        """Refuse."""
        return _refused()

    async def databases(self) -> Databases:
        """Refuse, for the one that would have been asked."""
        return Databases((), 0, 1, {0: _refused()}, 0.0)

    async def functions(
        self,
        worker: WorkerId,  # noqa: ARG002 - as a feed
        *,
        route: RouteLabel,  # noqa: ARG002
        requests: int,  # noqa: ARG002
        for_s: float,  # noqa: ARG002
        told: Callable[[Progress], None],  # noqa: ARG002
        finish: asyncio.Event,  # noqa: ARG002
    ) -> Functions | Refusal:
        """Refuse."""
        return _refused()

    async def explain(
        self,
        workers: Sequence[WorkerId],  # noqa: ARG002 - as a feed
        fingerprint: str,  # noqa: ARG002
    ) -> Explanation | Refusal:
        """Refuse."""
        return _refused()


def _refused() -> Refusal:
    return Refusal(id="", reason=REFUSED, advice=ADVICE)
