"""The rules for everything that intrudes on a process: one at a time, not too often, on record."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from perftui_agent.guard import Guard
from perftui_agent.inspect.audit import AuditTrail
from perftui_agent.wire.dumps import Refusal

T = TypeVar("T")

PER_SECOND = 1.0
BURST = 3


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a client asked to be done."""

    request_id: str
    what: str
    """`dump of pid 1234`."""
    peer: str
    """Who asked, as far as it is known: `uid 1000, pid 77`."""


class Actions:
    """Admits the actions of one process; the composition root owns it, and all inspectors share it.

    Not thread-safe: it belongs to the agent's loop.
    """

    def __init__(
        self,
        *,
        guard: Guard | None = None,
        audit: AuditTrail | None = None,
        clock: Callable[[], float] = time.monotonic,
        per_second: float = PER_SECOND,
        burst: int = BURST,
    ) -> None:
        self._guard = guard or Guard()
        self._audit = audit or AuditTrail()
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = clock()
        self._under_way: Action | None = None
        self._unlogged = 0

    async def run(self, action: Action, do: Callable[[], Awaitable[T | Refusal]]) -> T | Refusal:
        """Do it if it may be done now; the answer to one that may not is a `Refusal`."""
        if self._under_way is not None:
            return self.refuse(action, f"busy with a {self._under_way.what}", "ask again in a second")
        if (wait_s := self._wait_for_token()) > 0:
            reason = f"more than {self._burst} actions at once or {self._per_second:g} a second"
            return self.refuse(action, reason, f"ask again in {math.ceil(wait_s)} s")
        self._under_way = action
        began = self._clock()
        outcome = "interrupted"
        try:
            answer = await do()
            outcome = f"refused: {answer.reason}" if isinstance(answer, Refusal) else "done"
            return answer
        except Exception as error:  # noqa: BLE001 - a fault of ours costs the client a sentence, the app nothing
            self._guard.fault("actions", error)
            outcome = f"failed: {type(error).__name__}"
            return Refusal(
                id=action.request_id,
                reason=f"the agent failed at the {action.what}: {type(error).__name__}",
                advice="try again; if it fails again, run perftui doctor",
            )
        finally:
            self._under_way = None
            self._log(action, f"{outcome} ({(self._clock() - began) * 1000:.0f} ms)")

    def refuse(self, action: Action, reason: str, advice: str) -> Refusal:
        """Return the refusal, and put it on record in a way that a client in a loop can't abuse.

        The first of a run of refusals is logged, the others are counted in the next line.
        """
        self._unlogged += 1
        if self._unlogged == 1:
            self._audit.write(f"{action.what} for {action.peer}: refused: {reason}")
        return Refusal(id=action.request_id, reason=reason, advice=advice)

    def _wait_for_token(self) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0

    def _log(self, action: Action, outcome: str) -> None:
        more = f"; {self._unlogged} refused before it" if self._unlogged else ""
        self._unlogged = 0
        self._audit.write(f"{action.what} for {action.peer}: {outcome}{more}")
