"""Which rung of the ladder a dump or a profile of a worker would use, and why not a better one."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.doctor.spy import why_no_spy
from perftui.doctor.surroundings import Check, Surroundings, Worker
from perftui.doctor.tracing import why_not_traced
from perftui_agent.wire.standing import Standing


def check_rungs(place: Surroundings, worker: Worker) -> list[Check]:
    """Return what a dump, a dump while it is silent, and a profile would be taken by."""
    standing = worker.standing
    if standing is None:
        return _while_silent(place, worker) if worker.state in {"silent", "connecting"} else []
    if not standing.actions:
        sentence = "actions are switched off in this service: no dump, no profile"
        mend = "start it without PERFTUI_ACTIONS=0, or with instrument(app, actions=True)"
        return [Check("actions", "wrong", sentence, mend, worker.pid)]
    reason, mend = why_not(worker, standing)
    if reason:
        inside = f"seen from inside by Python alone: {reason}"
        mine = [
            Check("dump", "wrong", inside, mend, worker.pid),
            Check("profile", "note", f"by the agent's own sampler: {reason}", mend, worker.pid),
        ]
    else:
        version = f"py-spy {standing.spy_version}"
        mine = [
            Check("dump", "ok", f"{version}, which its own agent starts", "", worker.pid),
            Check("profile", "ok", f"{version}; by route the agent's own sampler", "", worker.pid),
        ]
    return [*mine, *_while_silent(place, worker)]


def why_not(worker: Worker, standing: Standing) -> tuple[str, str]:
    """Return why a worker can't be seen from outside by its own agent, and the mend; empty if it can."""
    if found := why_no_spy(worker):
        return found
    trial = standing.trials.get(worker.pid)
    if trial is None:
        return (f"it could not be tried: {standing.untried}", "") if standing.untried else ("", "")
    return why_not_traced(trial, standing.rights, standing.rights, standing.machine)


def _while_silent(place: Surroundings, worker: Worker) -> list[Check]:
    """Return who would dump it while C code holds its GIL, and its own agent with it."""
    refused: tuple[str, str] | None = None
    for sibling, standing in _siblings(place, worker):
        rights = worker.standing.rights if worker.standing is not None else worker.rights
        refused = why_no_spy(sibling)
        if refused is None:
            trial = standing.trials[worker.pid]
            reason, mend = why_not_traced(trial, rights, standing.rights, standing.machine)
            if not reason:
                sentence = f"py-spy, which its sibling {sibling.pid} starts"
                return [Check("dump if silent", "ok", sentence, "", worker.pid)]
            refused = reason, mend
    if refused is None and worker.writes_on is not None:
        sentence = f"its own stacks, which it writes on signal {worker.writes_on} of perftui's: no sibling"
        mend = "run a second worker, whose py-spy would tell who holds the GIL as well"
        return [Check("dump if silent", "note", sentence, mend, worker.pid)]
    if refused is None:
        sentence = "nobody could dump it while C code holds its GIL: no sibling is there to do it"
        mend = f"run a second worker, or dump it yourself: sudo py-spy dump --pid {worker.pid}"
        return [Check("dump if silent", "note", sentence, mend, worker.pid)]
    if worker.writes_on is not None:
        sentence = f"its own stacks, which it writes on signal {worker.writes_on} of a sibling: {refused[0]}"
        return [Check("dump if silent", "note", sentence, refused[1], worker.pid)]
    sentence = f"nobody could dump it while C code holds its GIL: {refused[0]}"
    return [Check("dump if silent", "wrong", sentence, refused[1], worker.pid)]


def _siblings(place: Surroundings, worker: Worker) -> Iterator[tuple[Worker, Standing]]:
    """Yield who takes a worker for its sibling, and so has tried."""
    for other in place.workers:
        standing = other.standing
        if other.pid != worker.pid and standing is not None and worker.pid in standing.trials:
            yield other, standing
