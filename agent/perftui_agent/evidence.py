"""What the agent has seen of its own accord, on its way into the next frame.

Whoever sees something tells it here, on the agent's thread; the frame takes it to clients and black box.
"""

from __future__ import annotations

from collections import deque

from perftui_agent.wire.incidents import Evidence

MOST = 20
"""Pieces that wait for a frame; the oldest gives way."""

MOST_A_FRAME = 5


class EvidenceTray:
    """Takes evidence, gives it to frames."""

    def __init__(self) -> None:
        self._waiting: deque[Evidence] = deque(maxlen=MOST)

    def tell(self, evidence: Evidence) -> None:
        """Have it told with the next frame; what waits under the same id is told as this."""
        for place, each in enumerate(self._waiting):
            if each.id == evidence.id:
                self._waiting[place] = evidence
                return
        self._waiting.append(evidence)

    def take(self) -> list[Evidence]:
        """Return what a frame is to tell, and forget it."""
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_A_FRAME))]
