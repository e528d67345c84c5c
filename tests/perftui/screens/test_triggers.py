"""What triggers have had taken, from the timeline to the screen of its kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from perftui.model.happenings import Event, EvidenceRow
from perftui.model.summary import Summary
from perftui_agent.wire.actions import Profile
from perftui_agent.wire.codec import encode
from perftui_agent.wire.dumps import Dump
from perftui_agent.wire.incidents import Evidence
from tests.perftui.screens.seen import LARGE, look
from tests.support.fake_dump import blocked_dump
from tests.support.fake_feed import FakeFeed
from tests.support.fake_profile import profile_of

TRIGGER = "p95>1s for 10s: profile 20s, dump"


@dataclass
class Triggered(FakeFeed):
    """A service in which a trigger fired a while ago, in a worker that is gone."""

    result: Profile | Dump | None = None

    def summary(self, window_s: float, cursor: float | None = None) -> Summary:
        summary = super().summary(window_s, cursor)
        worker = "web-1/4099/1"
        evidence = Evidence(
            id="e1",
            kind="trigger",
            at=int((summary.at - 1800) * 1e9),
            trigger=TRIGGER,
            text="p95 was 1.42 s over 10 s, of 812 requests",
            how="profile: actions are switched off in this service" if self.result is None else "by py-spy",
            outcome="taken",
            result=encode(self.result) if self.result is not None else b"",
        )
        event = Event(
            at=summary.at - 1800,
            kind="trigger",
            subject=TRIGGER,
            sentence=f"{evidence.text}; {evidence.how} (worker 4099)",
            worker=worker,
            until=summary.at - 1780,
            evidence="e1",
        )
        row = EvidenceRow(worker, 4099, evidence, worker)
        return replace(summary, evidence=(row,), events=(event,))


def test_the_timeline_tells_what_was_over_and_what_was_taken() -> None:
    """With the trigger as it was written, where there is room."""
    screen = look(Triggered(result=profile_of(4099)), "7", size=LARGE)

    line = next(line for line in screen.splitlines() if "30m" in line)
    assert "trigger" in line
    assert TRIGGER in line
    assert "p95 was 1.42 s" in line


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (profile_of(4099), "▸all routes  GET /reports 64%"),
        (blocked_dump(4099), "dump 12:00:00 · py-spy by sibling 4100"),
        (None, "actions are switched off in this service"),
    ],
    ids=["profile", "dump", "refusal"],
)
def test_enter_opens_what_was_taken_then(result: Profile | Dump | None, told: str) -> None:
    """As it was: no other is taken, though the worker is gone and the moment older than history."""
    feed = Triggered(result=result)
    screen = look(feed, "7", "enter")

    assert told in screen
    assert (feed.dumped, feed.profiled) == ([], [])
