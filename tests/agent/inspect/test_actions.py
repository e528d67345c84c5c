"""One action at a time, not too often, on record."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from perftui_agent.guard import Guard
from perftui_agent.inspect.actions import Action, Actions
from perftui_agent.inspect.audit import MAX_WAITING_LINES, AuditTrail
from perftui_agent.wire.dumps import Refusal
from tests.agent.inspect.processes import eventually


class Trail(AuditTrail):
    """An audit trail that is only remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)


class Clock:
    """Time that passes when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def action(number: int = 1) -> Action:
    return Action(request_id=str(number), what=f"dump of pid {number}", peer="uid 1000")


async def succeed() -> str:
    return "a dump"


async def fail() -> str:
    raise KeyError("a secret")


async def refuse() -> Refusal:
    return Refusal(id="1", reason="it is gone")


def test_done() -> None:
    """An action's answer is passed on, and who had what done with which outcome is on record."""
    trail = Trail()
    answer = asyncio.run(Actions(audit=trail, clock=Clock()).run(action(), succeed))

    assert answer == "a dump"
    assert trail.lines == ["dump of pid 1 for uid 1000: done (0 ms)"]


def test_refused() -> None:
    """A refusal is on record with its reason."""
    trail = Trail()
    asyncio.run(Actions(audit=trail, clock=Clock()).run(action(), refuse))

    assert trail.lines == ["dump of pid 1 for uid 1000: refused: it is gone (0 ms)"]


def test_single_flight() -> None:
    """While an action is under way every other one is refused; afterwards the next may run."""
    trail = Trail()
    actions = Actions(audit=trail, clock=Clock(), burst=100)

    async def main() -> list[str | Refusal]:
        release = asyncio.Event()

        async def slow() -> str:
            await release.wait()
            return "slow"

        first = asyncio.create_task(actions.run(action(1), slow))
        await asyncio.sleep(0)
        others = [await actions.run(action(number), succeed) for number in (2, 3)]
        release.set()
        return [await first, *others, await actions.run(action(4), succeed)]

    first, second, third, fourth = asyncio.run(main())
    assert (first, fourth) == ("slow", "a dump")
    assert second == Refusal(id="2", reason="busy with a dump of pid 1", advice="ask again in a second")
    assert third == Refusal(id="3", reason="busy with a dump of pid 1", advice="ask again in a second")


def test_rate() -> None:
    """Three at once and one a second are admitted; a refused one says when to ask again."""
    clock = Clock()
    actions = Actions(audit=Trail(), clock=clock)

    async def burst(number: int) -> list[str | Refusal]:
        return [await actions.run(action(), succeed) for _ in range(number)]

    first = asyncio.run(burst(5))
    refusal = Refusal(id="1", reason="more than 3 actions at once or 1 a second", advice="ask again in 1 s")
    assert first == ["a dump"] * 3 + [refusal] * 2
    clock.now += 1
    assert asyncio.run(burst(2)) == ["a dump", refusal]
    clock.now += 1000
    assert asyncio.run(burst(4)) == ["a dump"] * 3 + [refusal]


def test_flood() -> None:
    """A client in a loop doesn't fill the app's log: one line, and the number in the next."""
    trail, clock = Trail(), Clock()
    actions = Actions(audit=trail, clock=clock, burst=1)

    async def flood() -> None:
        for _ in range(1000):
            await actions.run(action(), succeed)
        clock.now += 1
        await actions.run(action(), succeed)

    asyncio.run(flood())
    assert trail.lines == [
        "dump of pid 1 for uid 1000: done (0 ms)",
        "dump of pid 1 for uid 1000: refused: more than 1 actions at once or 1 a second",
        "dump of pid 1 for uid 1000: done (0 ms); 999 refused before it",
    ]


def test_fault() -> None:
    """A fault of ours is counted and answered, without its text, and the next action may run."""
    guard, trail = Guard(), Trail()
    actions = Actions(guard=guard, audit=trail, clock=Clock())

    async def main() -> list[str | Refusal]:
        return [await actions.run(action(), fail), await actions.run(action(), succeed)]

    refusal, answer = asyncio.run(main())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "the agent failed at the dump of pid 1: KeyError"
    assert (guard.faults, answer) == ({"actions": 1}, "a dump")
    assert trail.lines[0] == "dump of pid 1 for uid 1000: failed: KeyError (0 ms)"


def test_cancelled() -> None:
    """An action whose client hung up makes room for the next one."""
    trail = Trail()
    actions = Actions(audit=trail, clock=Clock())

    async def forever() -> str:
        await asyncio.Event().wait()
        return "never"

    async def main() -> str | Refusal:
        task = asyncio.create_task(actions.run(action(), forever))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await actions.run(action(), succeed)

    assert asyncio.run(main()) == "a dump"
    assert trail.lines[0] == "dump of pid 1 for uid 1000: interrupted (0 ms)"


def test_audit_log(caplog: pytest.LogCaptureFixture) -> None:
    """The trail goes to the logger `perftui.audit` at INFO, line by line and in order."""
    caplog.set_level(logging.INFO, "perftui.audit")
    trail = AuditTrail()
    for number in range(3):
        trail.write(f"line {number}\x1b[2J\n")

    eventually(lambda: len(caplog.records) == 3)
    assert [record.getMessage() for record in caplog.records] == [f"line {n}[2J" for n in range(3)]
    assert {(record.name, record.levelname) for record in caplog.records} == {("perftui.audit", "INFO")}


def test_audit_log_stuck() -> None:
    """A log whose handler hangs, as the app's may do, holds up no action and gathers no threads."""
    entered, release, lines = threading.Event(), threading.Event(), []

    class Stuck(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            entered.set()
            release.wait()
            lines.append(record.getMessage())

    logger = logging.getLogger("tests.stuck")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(Stuck())
    trail = AuditTrail(logger)
    trail.write("first")
    entered.wait()
    threads = threading.active_count()
    for number in range(MAX_WAITING_LINES + 50):
        trail.write(str(number))
    assert threading.active_count() == threads

    release.set()
    eventually(lambda: len(lines) == 1 + MAX_WAITING_LINES)
    assert (lines[0], lines[1], lines[-1]) == ("first", "50", str(MAX_WAITING_LINES + 49))


def test_audit_log_raises() -> None:
    """A filter that raises loses its line and not the next one."""
    lines: list[str] = []

    def moody(record: logging.LogRecord) -> bool:
        if record.getMessage() == "bad":
            raise ValueError
        lines.append(record.getMessage())
        return False

    logger = logging.getLogger("tests.moody")
    logger.setLevel(logging.INFO)
    logger.addFilter(moody)
    trail = AuditTrail(logger)
    trail.write("bad")
    trail.write("good")

    eventually(lambda: lines == ["good"])
