"""What those who record a worker are told of what others have it do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from perftui_agent.wire.asked import asked_evidence, fits, for_others
from perftui_agent.wire.codec import encode
from perftui_agent.wire.frames import History
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.messages import ActionRequest, ActionResult
from perftui_agent.wire.registration import Registration


def shared_with_others(
    own: WorkerIdentity,
    siblings: Callable[[], Iterable[Registration]],
    request: ActionRequest,
    result: ActionResult,
) -> bytes | None:
    """Return what those who listen are told of what somebody asked for and got."""
    worker = own.id
    if request.pid not in {None, own.pid}:
        with contextlib.suppress(OSError):
            worker = next((each.worker.id for each in siblings() if each.worker.pid == request.pid), worker)
    told = asked_evidence(worker, for_others(result))
    return encode(History(evidence=[told])) if told is not None and fits(told) else None
