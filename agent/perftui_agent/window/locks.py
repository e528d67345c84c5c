"""The waits for locks that a request's statements spent, as spans of its own."""

from __future__ import annotations

from collections.abc import Iterable

from perftui_agent.locked import KIND, KIND_IN_TRANSACTION, LockSeen, waited_in
from perftui_agent.records import RequestPart, RequestRecord, SpanRecord, StatementRecord
from perftui_agent.window.statements import StatementLedger


def lock_spans(
    request: RequestRecord, parts: Iterable[RequestPart], statements: StatementLedger
) -> list[SpanRecord]:
    """Return the waits that the statements among `parts` account for, and keep those that go on."""
    open_waits: list[LockSeen] = request.locks
    executed = [part for part in parts if type(part) is StatementRecord]
    spans: list[SpanRecord] = []
    kept: list[LockSeen] = []
    for wait in open_waits:
        for record in executed:
            stretch = waited_in(record, wait)
            if stretch is not None:
                began_ns, ended_ns = stretch
                if ended_ns > began_ns:
                    kind = KIND if statements.learn(record).shape.kind == "sql" else KIND_IN_TRANSACTION
                    spans.append(SpanRecord(None, kind, wait.on, began_ns, ended_ns))
                break
        else:
            kept.append(wait)
    request.locks = kept if kept and not request.ended_ns else None
    return spans
