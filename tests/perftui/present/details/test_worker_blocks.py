"""The blocks of a worker's screen, as plain text."""

from __future__ import annotations

import msgspec

from perftui.model.events import SourceEvent
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.details.worker_blocks import agent
from perftui.present.documents.snapshot import document
from tests.support.frames import T, dashboard_of, frame, joined, received, route, worker


def told_of(**forgotten: int) -> Summary:
    """Return the picture of two workers whose agents have forgotten so much."""
    events: list[SourceEvent] = []
    for identity in (worker(1), worker(2)):
        sent = frame(1, T + 1, [route("GET /", [5.0])])
        sent.agent = msgspec.structs.replace(sent.agent, forgotten=forgotten)
        events += [joined(identity), received(identity, sent)]
    return summarize(dashboard_of(*events), T + 1.5)


def text(summary: Summary) -> str:
    return "\n".join("".join(cell.text for cell in line) for line in agent(summary.workers[0], 100))


def test_what_an_agents_tables_had_no_room_for_is_shown() -> None:
    """On the worker's screen each worker's own, in the snapshot that of all together."""
    summary = told_of(statements=2500, routes=0)
    assert "2,500 statements" in text(summary)
    assert "routes" not in text(summary)
    assert document(summary)["forgotten"] == {
        "statements": 5000,
        "texts": 0,
        "routes": 0,
        "paths": 0,
        "caches": 0,
        "commands": 0,
        "upstreams": 0,
        "background": 0,
        "channels": 0,
    }


def test_as_long_as_there_is_room_nothing_is_said() -> None:
    """A healthy service has no such line."""
    assert "forgotten" not in text(told_of(statements=0))
