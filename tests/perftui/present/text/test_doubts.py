"""What a picture lacks through its agents' own doing."""

from __future__ import annotations

import pytest

from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.details.worker_blocks import agent
from perftui.present.documents.report import report
from perftui.present.documents.snapshot import document
from perftui.present.text.cells import text_of
from perftui.present.triage.attention import notices
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import AgentStats, ProcessStats
from tests.support.frames import T, dashboard_of, frame, joined, received, route, worker


def told(stats: AgentStats, probes: dict[str, str] | None = None, seconds: int = 2) -> Summary:
    """Return the picture of a worker whose agent tells this of itself, second after second."""

    def second(number: int) -> Frame:
        sent = frame(number, T + number, [route("GET /", [5.0])])
        sent.agent, sent.probes = stats, probes or {"http": "on"}
        sent.process = ProcessStats(open_files=1000, open_files_limit=1024)
        return sent

    frames = (received(worker(1), second(number)) for number in range(1, seconds + 1))
    return summarize(dashboard_of(joined(worker(1)), *frames), T + seconds + 0.5)


IN_TROUBLE = AgentStats(
    records_dropped=7,
    faults={"probes.sqlalchemy": 3},
    bounded={"statements": 741, "spans": 4},
    degraded="no stories",
    clients=2,
    bytes_sent=3000,
)


@pytest.mark.parametrize(
    "said",
    [
        "faults in probes.sqlalchemy 3×",
        "saves the app's CPU: no stories",
        "14 records not counted",
        "in sum only, beyond the agent's bounds: statements 1,482",
        "redis off: redis 2.0 is older than 3.0",
    ],
)
def test_text_tells_every_doubt(said: str) -> None:
    """Counts are those of the window, in a section of their own."""
    probes = {"http": "on", "redis": "off: redis 2.0 is older than 3.0", "caches": "off: not imported"}
    lines = report(told(IN_TROUBLE, probes), width=200)
    doubts = lines[lines.index("to bear in mind") :]
    assert any(said in line for line in doubts)
    assert not any("not imported" in line for line in doubts)


def test_scripts_get_every_doubt() -> None:
    """With the worker it is about."""
    agent = document(told(IN_TROUBLE))["workers"][0]["agent"]
    assert agent["bounded"] == {"statements": 1482, "spans": 8}
    assert (agent["dropped"], agent["faults"], agent["degraded"], agent["clients"]) == (
        14,
        {"probes.sqlalchemy": 3},
        "no stories",
        2,
    )


def test_a_worker_shows_every_doubt() -> None:
    """Beside what its agent costs."""
    (row,) = told(IN_TROUBLE).workers
    shown = " ".join(text_of(line) for line in agent(row, 120))
    for said in (
        "statements 1,482",
        "spans 8",
        "fault probes.sqlalchemy",
        "gives up",
        "not counted",
        "clients",
    ):
        assert said in shown


def test_what_was_folded_away_is_noticed_but_for_what_every_story_leaves_out() -> None:
    """A healthy agent has nothing to say."""
    folded = told(AgentStats(bounded={"routes": 12}))
    assert [each.kind for each in notices(folded)] == ["bounded"]
    healthy = told(AgentStats(bounded={"spans": 12}))
    assert notices(healthy) == []
    assert "to bear in mind" not in report(healthy)
