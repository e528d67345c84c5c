"""One of everything that one can ask for, as somebody got it: `asked_of(worker, at)` are the events of it."""

from __future__ import annotations

import msgspec

from perftui.model.asked import AskedDatabases, databases_evidence, databases_of
from perftui.model.events import EvidenceKept
from perftui_agent.wire.asked import asked_evidence
from perftui_agent.wire.database import Database
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.messages import ActionResult
from tests.support.fake_database import locked
from tests.support.fake_dump import blocked_dump
from tests.support.fake_memory import leaking
from tests.support.fake_plan import scanning
from tests.support.fake_profile import called_by, profile_of


def results(pid: int) -> list[ActionResult]:
    """Return a result of each kind but the databases'."""
    return [
        blocked_dump(pid),
        profile_of(pid),
        leaking(pid),
        called_by(pid, "GET /reports", 20, 20),
        scanning("f0"),
    ]


def told_by_databases(worker: WorkerIdentity, at: float) -> AskedDatabases:
    """Return what a worker told of a database with a queue for a lock."""
    view = locked().views[0]
    answer = Database(
        id="d",
        pid=worker.pid,
        taken_at=int(at * 1e9),
        took_ns=20_000_000,
        engines={view.look.engine: view.look.database},
        held=[holder.held for holder in view.holders],
        looks=[view.look],
    )
    return AskedDatabases({worker.id: answer}, {worker.id: worker.pid}, {}, at)


def asked_of(worker: WorkerIdentity, at: float) -> list[EvidenceKept]:
    """Return events as a dashboard tells of them that has asked for one thing after the other."""
    pieces = [asked_evidence(worker.id, result) for result in results(worker.pid)]
    pieces.append(databases_evidence(databases_of(told_by_databases(worker, at))))
    events = []
    for place, piece in enumerate(pieces):
        assert piece is not None
        moment = at + place / 10
        dated = msgspec.structs.replace(
            piece, id=f"asked {place}", at=int(moment * 1e9), taken_at=int(moment * 1e9)
        )
        events.append(EvidenceKept(worker.id, (dated,), moment))
    return events
