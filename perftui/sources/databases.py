"""Asks a service's databases for their own view: one worker looks, all say which sessions are theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from perftui.clock import now
from perftui.model.asked import AskedDatabases, databases_of
from perftui.model.database import Databases
from perftui.model.text import clean
from perftui.sources.actions import Workers, take_database
from perftui_agent.wire.database import Database
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.identity import WorkerIdentity


async def take_databases(source: Workers) -> Databases:
    """Return every database that the workers of a source use, as it says it is."""
    workers = [each.worker for each in source.workers()]
    live = [each for each in workers if source.phase(each.id) == "live"]
    others = [each for each in workers if each not in live]
    refusals: dict[int, Refusal] = {}
    answers: dict[str, Database] = {}

    async def ask(worker: WorkerIdentity, *, look: bool, engines: Sequence[str] = ()) -> None:
        answer = await take_database(source, worker.id, look=look, engines=engines)
        if isinstance(answer, Refusal):
            refusals[worker.pid] = clean(answer)
            return
        refusals.pop(worker.pid, None)
        answer = clean(answer)
        if worker.id in answers:
            # It was asked a second time, for what the others could not tell.
            answer = msgspec.structs.replace(answer, looks=[*answers[worker.id].looks, *answer.looks])
        answers[worker.id] = answer

    first, rest = live[:1], live[1:]
    await asyncio.gather(
        *(ask(each, look=True) for each in first), *(ask(each, look=False) for each in (*rest, *others))
    )
    for worker in [*rest, *first]:
        # What the first does not use, or could not ask.
        looks = [look for answer in answers.values() for look in answer.looks]
        told = {look.database for look in looks if not look.refused or look.full}
        engines = answers[worker.id].engines if worker.id in answers else {}
        missing = [name for name, database in engines.items() if database not in told]
        if missing and (worker not in first or not looks):
            await ask(worker, look=True, engines=missing)
    pids = {worker.id: worker.pid for worker in workers}
    return databases_of(AskedDatabases(answers, pids, refusals, now()))
