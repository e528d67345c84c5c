"""Whether the two sides understand each other."""

from __future__ import annotations

from perftui.doctor.surroundings import Check, Surroundings, Worker

NAME = "agent"


def check_versions(place: Surroundings, worker: Worker) -> list[Check]:
    """Return whether this perftui and the agent of a worker go together."""
    known = worker.agent or "of an unknown version"
    if worker.wire != place.wire:
        older = "perftui-agent in the service" if worker.wire < place.wire else "perftui here"
        sentence = f"perftui-agent {known} speaks version {worker.wire} of the wire, perftui {place.wire}"
        mend = f"upgrade {older}: pip install -U {older.partition(' ')[0]}"
        return [Check(NAME, "wrong", sentence, mend, worker.pid)]
    if worker.state in {"silent", "connecting"}:
        sentence = "its agent does not answer: the GIL is held, or the process is stopped"
        return [Check(NAME, "wrong", sentence, f"see in what: perftui dump pid:{worker.pid}", worker.pid)]
    if worker.standing is None:
        sentence = f"perftui-agent {known} does not say what it may do: {worker.unanswered or 'no answer'}"
        mend = "upgrade it in the service: pip install -U perftui-agent"
        return [Check(NAME, "note", sentence, mend, worker.pid)]
    if place.perftui and worker.agent and worker.agent != place.perftui:
        sentence = f"perftui-agent {known}, perftui {place.perftui}: they understand each other"
        return [Check(NAME, "ok", sentence, "", worker.pid)]
    return [Check(NAME, "ok", f"perftui-agent {known}", "", worker.pid)]
