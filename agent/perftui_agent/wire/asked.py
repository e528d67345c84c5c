"""What somebody had done in a worker, told to who records it: the result as evidence.

A client that says `Listen` is told of what others ask for from then on, by a `History` that holds the
evidence and nothing else. It goes into no frame and no black box, and what only the one who asked may see is
not in it.
"""

from __future__ import annotations

import time

import msgspec

from perftui_agent.wire.actions import Functions, Memory, Profile
from perftui_agent.wire.codec import encode
from perftui_agent.wire.database import Database
from perftui_agent.wire.dumps import Dump
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.messages import ActionResult
from perftui_agent.wire.parts import WorkerId

ASKED = "asked"
"""The kind of evidence that somebody has asked for."""

WITHHELD = "the values of variables are with who asked for them"

ROOM_BYTES = 64 * 1024
"""For what is around a result in its message."""


def asked_evidence(worker: WorkerId, result: ActionResult) -> Evidence | None:
    """Return what was taken as evidence of this moment; None for what tells of nothing that lasts."""
    told = _told(result)
    return None if told is None else evidence_of(worker, *told, encode(result), result.id)


def evidence_of(worker: WorkerId, how: str, text: str, result: bytes, request_id: str) -> Evidence:
    """Return evidence of this moment: how it was taken, what that was, and what came of it."""
    at = time.time_ns()
    return Evidence(
        id=f"{ASKED}/{worker}/{request_id}/{at}",
        kind=ASKED,
        at=at,
        worker=worker,
        text=text,
        how=how,
        outcome="taken",
        taken_at=at,
        result=result,
    )


def for_others(result: ActionResult) -> ActionResult:
    """Return a result as others than who asked may see it."""
    if not isinstance(result, Dump) or not result.locals_of:
        return result
    note = "; ".join(filter(None, (result.note, WITHHELD)))
    return msgspec.structs.replace(result, locals=[], locals_cut=0, locals_of="", note=note)


def fits(evidence: Evidence) -> bool:
    """Tell whether there is room for it in a message."""
    return len(evidence.result) <= MAX_MESSAGE_BYTES - ROOM_BYTES


def _told(result: ActionResult) -> tuple[str, str] | None:
    match result:
        case Dump():
            return result.method, "a dump was taken"
        case Profile():
            return result.engine, "a profile was taken"
        case Memory():
            return "memory", "it was watched what grows"
        case Functions():
            return "functions", f"the functions of {result.route} were measured"
        case Explanation():
            return "plan", f"the plan of statement {result.fingerprint[:12]} was asked for"
        case Database() if result.looks:
            return "database", "the databases were asked for their own view"
        case _:
            return None
