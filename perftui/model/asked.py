"""What somebody has asked a worker or a database for, as a recording keeps it: bytes to results and back."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from perftui.model.database import Databases, DatabaseView, Holder, joined
from perftui.model.text import clean
from perftui_agent.wire.actions import Functions, Memory, Profile
from perftui_agent.wire.asked import evidence_of
from perftui_agent.wire.codec import encode_part
from perftui_agent.wire.database import Database, DatabaseLook
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.parts import WorkerId

Asked: TypeAlias = Dump | Profile | Memory | Functions | Explanation | Databases


class AskedDatabases(msgspec.Struct, tag="asked-databases", frozen=True):
    """What each of several workers answered, of which there is one picture."""

    answers: dict[WorkerId, Database]
    pids: dict[WorkerId, int]
    """Of all that were asked."""
    refusals: dict[int, Refusal]
    at: float


_Told: TypeAlias = Dump | Profile | Memory | Functions | Explanation | Database | AskedDatabases

_decoder: msgspec.msgpack.Decoder[_Told] = msgspec.msgpack.Decoder(_Told)


def databases_of(told: AskedDatabases) -> Databases:
    """Return every database that the workers told of, as it says it is."""
    holders = [
        Holder(worker, told.pids[worker], held)
        for worker in told.pids
        if worker in told.answers
        for held in told.answers[worker].held
    ]
    looks = [look for answer in told.answers.values() for look in answer.looks]
    return Databases(
        _views(looks, holders), len(told.answers), len(told.pids), told.refusals, told.at, told=told
    )


def databases_evidence(databases: Databases) -> Evidence | None:
    """Return what databases said as evidence of this moment; None where none did."""
    told = databases.told
    if not isinstance(told, AskedDatabases) or not databases.views:
        return None
    worker = next(iter(told.answers))
    text = "the databases were asked for their own view"
    return evidence_of(worker, "database", text, encode_part(told), str(told.at))


def asked_for(evidence: Evidence) -> Asked | None:
    """Return what was taken, whatever it is; None where nothing was, or it can't be read."""
    if not evidence.result:
        return None
    try:
        told = clean(_decoder.decode(evidence.result))
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError):
        return None
    if isinstance(told, Database):
        told = AskedDatabases({evidence.worker: told}, {evidence.worker: told.pid}, {}, evidence.at / 1e9)
    return databases_of(told) if isinstance(told, AskedDatabases) else told


def _views(looks: list[DatabaseLook], holders: list[Holder]) -> tuple[DatabaseView, ...]:
    best: dict[tuple[str, str], DatabaseLook] = {}
    for look in looks:
        key = look.kind, look.database
        if key not in best or (best[key].refused and not look.refused):
            best[key] = look
    views = [joined(look, holders) for look in best.values()]
    return tuple(sorted(views, key=lambda view: (bool(view.look.refused), -len(view.holders), view.name)))
