"""What a firing leads to: the road that clients take, and what is told on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.trigger import parse_triggers
from perftui_agent.triggers import runner
from perftui_agent.triggers.runner import Triggers
from perftui_agent.wire.actions import Profile, ProfileRequest, Progress
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.messages import ActionRequest, ActionResult
from tests.agent.triggers.test_watch import QUICK, SLOW, frame


@pytest.fixture(autouse=True)
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "STAGGER_S", 0.0)


PROFILE = Profile(id="", pid=7, taken_at=5, took_ns=2 * 10**9, engine="sampler", samples=9)
DUMP = Dump(id="", pid=7, taken_at=6, took_ns=1, taken_by=7)
BUSY = Refusal(id="", reason="busy with a dump of pid 7", advice="ask again in a second")


class Road:
    """Answers as it was told to, and remembers what was asked."""

    def __init__(self, *answers: ActionResult | Refusal, progress: Progress | None = None) -> None:
        self._answers = list(answers)
        self._progress = progress
        self.asked: list[tuple[ActionRequest, str]] = []

    async def __call__(
        self, request: ActionRequest, *, peer: str, tell: Callable[[Progress], Awaitable[None]]
    ) -> ActionResult | Refusal:
        self.asked.append((request, peer))
        if self._progress is not None:
            await tell(self._progress)
        return self._answers.pop(0)


def told(text: str, road: Road, *frames: Frame, guard: Guard | None = None) -> list[Evidence]:
    """Return the evidence that these frames lead to, in the order in which frames would tell it."""
    tray = EvidenceTray()
    pieces: list[Evidence] = []

    async def scenario() -> None:
        triggers = Triggers(
            parse_triggers(text),
            worker="h/7/1",
            act=road,
            tray=tray,
            guard=guard or Guard(),
            now_ns=lambda: 10**18,
        )
        task = asyncio.create_task(triggers.run())
        for each in frames:
            triggers.note(each)
            pieces.extend(tray.take())
            for _ in range(20):
                await asyncio.sleep(0)
        pieces.extend(tray.take())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
    return pieces


FRAMES = [frame(100 + t, SLOW) for t in range(4)]
TEXT = "p95>1s for 3s: profile 2s, dump"


def test_what_fires_is_told_at_once_and_again_with_what_was_taken() -> None:
    """One piece for each action, in the order in which they are written."""
    road = Road(PROFILE, DUMP)
    waiting, after, profile, dump = told(TEXT, road, *FRAMES)

    assert [each.how for each in (waiting, after)] == ["profile: waits", "dump: waits"]
    assert (profile.id, dump.id) == (waiting.id, after.id) == ("h/7/1/trigger/1.0", "h/7/1/trigger/1.1")
    assert (profile.kind, profile.trigger, profile.outcome) == ("trigger", TEXT, "taken")
    assert profile.text == "p95 was 1.50 s over 3 s, of 60 requests"
    assert profile.how == "profile of 2 s by the agent's own sampler, 9 samples"
    assert dump.how == "dump by py-spy"
    assert profile.result
    request, peer = road.asked[0]
    assert peer == f"trigger {TEXT}"
    assert isinstance(request, ProfileRequest)
    assert (request.for_s, request.by_route) == (2.0, True)


def test_a_profile_tells_what_it_has_seen_while_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is killed in its midst leaves that."""
    monkeypatch.setattr(runner, "TELL_EVERY_S", 0.0)
    road = Road(Refusal(id="", reason="gone"), progress=Progress(id="", profile=PROFILE))
    told_of: list[Evidence] = []
    tell = EvidenceTray.tell

    def noted(self: EvidenceTray, each: Evidence) -> None:
        told_of.append(each)
        tell(self, each)

    monkeypatch.setattr(EvidenceTray, "tell", noted)

    told("p95>1s for 3s: profile 2s", road, *FRAMES)

    assert [(bool(each.result), each.outcome) for each in told_of] == [
        (False, ""),
        (True, ""),
        (False, "refused"),
    ]


def test_a_client_that_is_served_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks at the worker just then goes first."""
    monkeypatch.setattr(runner, "BUSY_AGAIN_S", 0.0)
    road = Road(BUSY, BUSY, DUMP)

    assert told("p95>1s for 3s: dump", road, *FRAMES)[-1].outcome == "taken"
    assert len(road.asked) == 3


def test_what_is_refused_is_told_with_the_reason() -> None:
    """With its mend, and the next action is tried all the same."""
    no = Refusal(id="", reason="tracing pid 7 is not permitted", advice="add SYS_PTRACE")
    *_, profile, dump = told(TEXT, Road(no, DUMP), *FRAMES)

    assert (profile.outcome, dump.outcome) == ("refused", "taken")
    assert profile.how == "profile: tracing pid 7 is not permitted (add SYS_PTRACE)"


def test_a_fault_of_an_action_costs_a_count_and_not_the_triggers() -> None:
    """The next firing is acted on."""
    guard = Guard()
    waves = [frame(100 + t, SLOW if t % 10 < 5 else QUICK) for t in range(20)]

    pieces = told("p95>1s for 3s: dump", Road(), *waves, guard=guard)

    assert guard.faults == {"triggers": 2}
    assert len(pieces) == 2
