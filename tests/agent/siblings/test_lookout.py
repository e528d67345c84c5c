"""One worker's look at its neighbour, with a neighbour that does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.inspect.actions import Action, Actions
from perftui_agent.siblings.aftermath import Left
from perftui_agent.siblings.lookout import EVERY_NS, Lookout
from perftui_agent.siblings.neighbours import Neighbour
from perftui_agent.siblings.pulse import Pulse
from perftui_agent.siblings.ring import SILENT_NS
from perftui_agent.siblings.supervision import Supervisor
from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.dumps import Dump, Refusal, StackFrame, ThreadDump
from perftui_agent.wire.frames import WIRE_VERSION
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.lives import file_stem, running_start_ticks
from perftui_agent.wire.registration import Registration, StacksOnSignal
from perftui_agent.wire.requests import InFlight
from tests.agent.inspect.processes import stop

MAIN = ThreadDump(
    name="MainThread", thread_id=1, is_main=True, frames=[StackFrame("match", "/srv/app.py", 7, "app.py")]
)
FLIGHT = InFlight(route="GET /slow", method="GET", path="/slow", age_ns=1)
STEP_NS = EVERY_NS


@dataclass
class Next:
    """A real process in the place of a neighbour, whose signs of life the test gives."""

    neighbour: Neighbour
    process: subprocess.Popen[bytes]
    pulse: Pulse
    dumps: list[str] = field(default_factory=list)
    answer: Callable[[], Dump | Refusal] | None = None

    @property
    def stacks(self) -> Path:
        """Where it writes its stacks on a signal."""
        stacks = self.neighbour.registration.stacks
        assert stacks is not None
        return Path(stacks.path)

    def writes(self, text: str) -> None:
        """Have it written that on a signal."""
        self.stacks.write_text(text)

    async def look(self, request_id: str, neighbour: Neighbour) -> Dump | Refusal:
        self.dumps.append(request_id)
        if self.answer is not None:
            return self.answer()
        return Dump(
            id=request_id, pid=neighbour.worker.pid, taken_at=5, took_ns=1, taken_by=1, threads=[MAIN]
        )


class Ring:
    """The neighbours of a lookout, as the test has them."""

    def __init__(self, *neighbours: Neighbour) -> None:
        self.ring = list(neighbours)

    def look(self) -> None:
        """See nothing new."""


@pytest.fixture
def next_one(tmp_path: Path) -> Iterator[Next]:
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    identity = WorkerIdentity(
        host="box",
        pid=process.pid,
        started_at=1.0,
        service="shop",
        supervisor_pid=os.getpid(),
        start_ticks=running_start_ticks(process.pid) or 0,
    )
    stacks = StacksOnSignal(path=str(tmp_path / "x.stacks"), signal=39, main_thread=1)
    registration = Registration(wire=WIRE_VERSION, worker=identity, socket=str(tmp_path / "s"), stacks=stacks)
    neighbour = Neighbour(registration, tmp_path, file_stem(identity))
    pulse = Pulse()
    pulse.look_after(neighbour.pulse)
    yield Next(neighbour, process, pulse)
    pulse.close()
    process.kill()
    process.communicate()


class Watching:
    """A lookout whose clock the test sets."""

    def __init__(self, *seen: Next, look: bool = True, audit: Actions | None = None) -> None:
        self.tray = EvidenceTray()
        first = seen[0]
        self.guard = Guard()
        self.left: list[Left] = []

        async def route_of(lines: Sequence[tuple[str, int]]) -> str:
            return "GET /rx/{n}" if lines else ""

        self.lookout = Lookout(
            neighbours=Ring(*(each.neighbour for each in seen)),  # type: ignore[arg-type] # what it uses of one
            tray=self.tray,
            actions=audit or Actions(),
            look=first.look if look else None,
            route_of=route_of,
            supervisor=lambda: Supervisor("uvicorn", os.getpid(), 5.0),
            left=self.left.append,
            own_pid=1,
            guard=self.guard,
        )
        self.now_ns = time.monotonic_ns()

    async def for_s(self, seconds: float) -> list[Evidence]:
        """Let the time go by and the looks happen; return what was told meanwhile."""
        for _ in range(int(seconds * 1e9 / STEP_NS)):
            self.now_ns += STEP_NS
            self.lookout.glance(self.now_ns)
            for _ in range(5):
                await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        self.lookout.glance(self.now_ns + STEP_NS)
        self.now_ns += STEP_NS
        assert self.guard.faults == {}
        return self.tray.take()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def beat(one: Next, watching: Watching) -> int:
    """Have it give a sign now."""
    one.pulse.beat_ns = 0
    one.pulse.beat(watching.now_ns)
    return watching.now_ns


def test_who_is_silent_for_two_seconds_is_dumped_once(next_one: Next) -> None:
    """However long it stays silent after that; and not a moment before."""

    async def test() -> None:
        watching = Watching(next_one)
        beat(next_one, watching)
        assert await watching.for_s(SILENT_NS / 1e9 - 0.6) == []
        assert next_one.dumps == []
        [told] = await watching.for_s(1.0)
        assert (told.kind, told.verdict, told.where) == ("worker-silent", "hung", "app.py:7 match")
        assert (told.worker, told.outcome) == (next_one.neighbour.worker.id, "")
        await watching.for_s(10)
        assert len(next_one.dumps) == 1

    run(test())


def test_the_requests_in_flight_are_kept_and_the_one_that_hangs(next_one: Next) -> None:
    """What was known from the last frame, and what only the stack tells."""

    async def test() -> None:
        watching = Watching(next_one)
        next_one.pulse.tell([FLIGHT])
        beat(next_one, watching)
        [told] = await watching.for_s(2.5)
        assert [(each.route, each.path) for each in told.in_flight] == [
            ("GET /slow", "/slow"),
            ("GET /rx/{n}", "/rx/{n}"),
        ]
        assert told.route == "GET /rx/{n}"
        assert isinstance(decode_from_agent(told.result), Dump)
        assert told.how == "py-spy by sibling 1"

    run(test())


def test_one_that_goes_on_is_told_of_to_its_end(next_one: Next) -> None:
    """And the next silence of the same worker is another one."""

    async def test() -> None:
        watching = Watching(next_one)
        began_ns = beat(next_one, watching)
        [first] = await watching.for_s(3)
        ended_ns = beat(next_one, watching)
        [over] = await watching.for_s(0.5)
        assert (over.id, over.outcome, over.ns) == (first.id, "went on", ended_ns - began_ns)
        [again] = await watching.for_s(3)
        assert again.id != first.id
        assert len(next_one.dumps) == 2

    run(test())


@pytest.mark.parametrize(
    ("after_s", "by"), [(5.5, "uvicorn (pid {pid})"), (3.0, "")], ids=["uvicorn", "nobody"]
)
def test_one_that_is_ended_is_told_of_with_who_did_it(next_one: Next, after_s: float, by: str) -> None:
    """Its supervisor, if its patience was over; nobody is named otherwise. Its claim is gone with it."""

    async def test() -> None:
        watching = Watching(next_one)
        beat(next_one, watching)
        await watching.for_s(after_s)
        next_one.process.kill()
        next_one.process.wait()
        [over] = await watching.for_s(0.3)
        assert (over.outcome, over.ended_by) == ("ended", by.format(pid=os.getpid()))
        assert over.where == "app.py:7 match"
        assert list(next_one.neighbour.directory.glob("*.claim")) == []
        assert await watching.for_s(5) == []

    run(test())


def test_two_that_see_the_same_silence_take_one_dump(next_one: Next) -> None:
    """For a moment they may differ over who is next: who claims it first looks."""

    async def test() -> None:
        one, other = Watching(next_one), Watching(next_one)
        other.now_ns = one.now_ns
        beat(next_one, one)
        told = [*await one.for_s(3), *await other.for_s(3)]
        assert len(next_one.dumps) == len(told) == 1

    run(test())


def test_a_process_that_is_stopped_is_said_to_be_stopped(next_one: Next) -> None:
    """It is no hang, whatever line it stands in."""

    async def test() -> None:
        stop(next_one.process.pid)
        watching = Watching(next_one)
        beat(next_one, watching)
        [told] = await watching.for_s(3)
        assert told.verdict == "stopped"
        assert "stopped by a signal" in told.text

    run(test())


def test_promise_18_a_dump_of_its_own_accord_is_on_record(
    next_one: Next, caplog: pytest.LogCaptureFixture
) -> None:
    """As any that somebody asks for: what, and for whom."""

    async def test() -> None:
        watching = Watching(next_one)
        beat(next_one, watching)
        with caplog.at_level(logging.INFO, "perftui.audit"):
            await watching.for_s(3)
            await asyncio.sleep(0.1)

    run(test())
    assert any(
        f"dump of pid {next_one.process.pid}, silent for" in line and "its sibling, pid 1" in line
        for line in caplog.messages
    )


def test_promise_18_where_actions_are_switched_off_nobody_is_looked_at(next_one: Next) -> None:
    """That it was silent is told all the same, and why there is no stack."""

    async def test() -> None:
        watching = Watching(next_one, look=False)
        beat(next_one, watching)
        [told] = await watching.for_s(3)
        assert next_one.dumps == []
        assert (told.where, told.stack, told.result) == ("", [], b"")
        assert "actions are switched off" in told.text

    run(test())


def test_a_dump_that_cannot_be_had_is_told_with_the_reason(next_one: Next) -> None:
    """That the worker was silent, for how long, and how it ended is known without one."""

    async def test() -> None:
        next_one.answer = lambda: Refusal(id="1", reason="tracing pid 5 is not permitted")
        watching = Watching(next_one)
        beat(next_one, watching)
        [told] = await watching.for_s(3)
        assert "no stack: tracing pid 5 is not permitted" in told.text

    run(test())


def test_a_sign_that_comes_while_the_dump_is_taken_ends_it_unsaid(next_one: Next) -> None:
    """The dump is of what it did afterwards; of the block itself the worker tells."""

    async def test() -> None:
        watching = Watching(next_one)

        def answer() -> Dump:
            beat(next_one, watching)
            return Dump(id="1", pid=1, taken_at=5, took_ns=1, taken_by=1, threads=[MAIN])

        next_one.answer = answer
        beat(next_one, watching)
        assert await watching.for_s(3) == []

    run(test())


def test_while_another_action_is_under_way_it_waits_its_turn(next_one: Next) -> None:
    """Somebody takes a profile: actions are one at a time, and the silence is not over."""

    async def test() -> None:
        actions, release = Actions(), asyncio.Event()

        async def long_one() -> Refusal:
            await release.wait()
            return Refusal(id="p", reason="")

        profile = asyncio.create_task(
            actions.run(Action(request_id="p", what="profile", peer="uid 1"), long_one)
        )
        await asyncio.sleep(0)
        watching = Watching(next_one, audit=actions)
        beat(next_one, watching)
        assert await watching.for_s(2.5) == []
        release.set()
        await profile
        await asyncio.sleep(0.4)
        [told] = await watching.for_s(0.5)
        assert told.where == "app.py:7 match"

    run(test())


def test_what_a_worker_has_written_is_told_by_nobody_once_a_sibling_has_told_of_it(next_one: Next) -> None:
    """Its text would be told again, as another's find, by who takes its place."""

    async def test() -> None:
        watching = Watching(next_one)
        beat(next_one, watching)
        [told] = await watching.for_s(3)
        next_one.writes('Thread 0x1 (most recent call first):\n  File "a.py", line 1 in f\n')
        next_one.process.kill()
        next_one.process.wait()
        [over] = await watching.for_s(0.3)
        assert (over.id, over.outcome) == (told.id, "ended")
        after = Watching(next_one)
        after.lookout.look_what_is_left()
        assert (watching.left, after.left) == ([], [])

    run(test())


def test_what_a_worker_has_written_is_told_where_its_sibling_came_too_late_to_look(next_one: Next) -> None:
    """It was ended before its dump was taken, or may not be traced: as the same silence, with its stack."""

    async def test() -> None:
        next_one.answer = lambda: Refusal(id="1", reason="pid 5 is gone")
        watching = Watching(next_one)
        began_ns = beat(next_one, watching)
        await watching.for_s(3)
        next_one.writes("Thread 0x1 (most recent call first):\n")
        next_one.process.kill()
        next_one.process.wait()
        [over] = await watching.for_s(0.3)
        assert (over.outcome, over.stack) == ("ended", [])
        [left] = watching.left
        assert left.sign.beat_ns == began_ns

    run(test())


@pytest.mark.parametrize("is_old", [False, True], ids=["of this silence", "of one before"])
def test_what_a_worker_has_written_is_told_of_its_last_silence_alone(next_one: Next, is_old: bool) -> None:
    """What had been written before its last sign of life is of another one."""
    next_one.pulse.beat_ns = 0
    next_one.pulse.beat(time.monotonic_ns() - 3_000_000_000)
    next_one.writes("Thread 0x1 (most recent call first):\n")
    if is_old:
        before_ns = time.time_ns() - 4_000_000_000
        os.utime(next_one.stacks, ns=(before_ns, before_ns))
    next_one.process.kill()
    next_one.process.wait()

    async def test() -> None:
        watching = Watching(next_one)
        watching.lookout.look_what_is_left()
        assert len(watching.left) == (0 if is_old else 1)
        assert next_one.stacks.read_bytes() == b""

    run(test())


def test_what_is_under_way_is_given_up_as_the_agent_ends(next_one: Next) -> None:
    """No claim is left that would keep another from looking."""

    async def test() -> None:
        watching = Watching(next_one)
        beat(next_one, watching)
        await watching.for_s(3)
        watching.lookout.close()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        assert list(next_one.neighbour.directory.glob("*.claim")) == []

    run(test())
