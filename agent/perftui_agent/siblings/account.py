"""What is told of a silence: everything that was found out about it, as evidence."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from perftui_agent.siblings.verdict import STOPPED, Blamed, Verdict
from perftui_agent.toll import Shares
from perftui_agent.wire.codec import encode
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.requests import InFlight

KIND = "worker-silent"

MAX_THREADS = 12
"""Of the dump that is kept: those that matter come first in it."""


class Found(NamedTuple):
    """What was found out."""

    id: str
    worker: str
    """Whose silence it was; empty: that of who tells of it."""
    began_at: int
    """On the wall clock."""
    silent_ns: int
    in_flight: list[InFlight]
    answer: Dump | Refusal
    who: Blamed
    spent: Shares | None
    verdict: Verdict
    route: str
    taken_by: str


def describe(found: Found) -> Evidence:
    """Return it as evidence."""
    dump = found.answer if isinstance(found.answer, Dump) else None
    who = found.who
    return Evidence(
        id=found.id,
        kind=KIND,
        at=max(0, found.began_at),
        ns=max(0, found.silent_ns),
        worker=found.worker,
        verdict=found.verdict,
        where=who.where,
        route=found.route or None,
        stack=who.stack,
        in_flight=_in_flight(found),
        text=_text(found),
        taken_at=None if dump is None else dump.taken_at,
        how="" if dump is None else f"{dump.method} by {found.taken_by}",
        result=b"" if dump is None else encode(_shortened(dump)),
    )


def _shortened(dump: Dump) -> Dump:
    cut = max(0, len(dump.threads) - MAX_THREADS)
    return msgspec.structs.replace(
        dump, threads=dump.threads[:MAX_THREADS], threads_cut=dump.threads_cut + cut
    )


def _in_flight(found: Found) -> list[InFlight]:
    """Return the requests that were known, and the one that the stack works for if it is none of them.

    One that holds the GIL from its first moment on was told of by nobody. Of it the path is not known, and
    its template stands for it; it is as old as the silence.
    """
    aged = [msgspec.structs.replace(row, age_ns=row.age_ns + found.silent_ns) for row in found.in_flight]
    if not found.route or any(row.route == found.route for row in aged):
        return aged
    method, _, path = found.route.partition(" ")
    own = InFlight(
        route=found.route,
        method=method,
        path=path,
        age_ns=found.silent_ns,
        waiting_at=found.who.where or None,
    )
    return [*aged, own]


def _text(found: Found) -> str:
    """Return what the verdict rests on, in a sentence."""
    said = []
    if found.verdict == STOPPED:
        said.append("it is stopped by a signal or a debugger")
    elif found.who.imports:
        said.append("it was importing")
    if found.spent is not None and found.verdict != STOPPED:
        ran, waited = found.spent
        said.append(f"it ran for {ran:.0%} of the time and waited for a CPU for {waited:.0%}")
    if isinstance(found.answer, Refusal):
        said.append(f"no stack: {found.answer.reason}")
    elif found.answer.note:
        said.append(found.answer.note)
    return "; ".join(said)
