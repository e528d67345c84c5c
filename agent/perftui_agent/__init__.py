"""The perftui agent: live timings of this worker, for the perftui dashboard.

    from perftui_agent import instrument
    app = instrument(FastAPI())

Then, on the same host: `perftui connect localhost:8000`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perftui_agent import resident as resident  # the first: it tells what the others add to the process

if TYPE_CHECKING:
    from perftui_agent.public import Slo, instrument, watch_cache

__all__ = ["Slo", "instrument", "watch_cache"]


def __getattr__(name: str) -> Any:
    # The dashboard imports `perftui_agent.wire` and nothing else: with the agent behind it, that would
    # cost it 0.1 s of its start-up.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("perftui_agent.public"), name)
