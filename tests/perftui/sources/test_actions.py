"""Who is asked for a worker's stacks, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from perftui.sources.actions import OWN_S, SILENT_S, take_dump
from perftui.sources.session import Phase
from perftui.sources.stream import NotAnsweredError
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.messages import ActionRequest
from perftui_agent.wire.parts import WorkerId
from perftui_agent.wire.registration import Registration, StacksOnSignal
from perftui_agent.wire.stacks_on_signal import NotWrittenError, Written, WrittenFrame, WrittenThread
from tests.support.frames import worker

A, B, C = worker(1), worker(2), worker(3)


def dumped(by: int) -> Callable[[ActionRequest], Dump]:
    return lambda request: Dump(id=request.id, pid=request.pid or by, taken_at=0, took_ns=0, taken_by=by)


def refused(request: ActionRequest) -> Refusal:
    return Refusal(id=request.id, reason="not allowed here")


def nothing(request: ActionRequest) -> Dump:
    raise NotAnsweredError("no answer")


@dataclass
class Made:
    """Three workers that stand and answer as a test says; remembers who was asked for how long."""

    phases: dict[WorkerId, Phase]
    answers: dict[WorkerId, Callable[[ActionRequest], Dump | Refusal]]
    asked: list[tuple[int, int | None, float]] = field(default_factory=list)

    def phase(self, worker: WorkerId) -> Phase | None:
        return self.phases.get(worker)

    def workers(self) -> Sequence[Registration]:
        return [Registration(wire=1, worker=each, socket="") for each in (A, B, C) if each.id in self.phases]

    async def ask(
        self, worker: WorkerId, request: ActionRequest, timeout_s: float, *_: object
    ) -> Dump | Refusal:
        pid = {A.id: 1, B.id: 2, C.id: 3}[worker]
        self.asked.append((pid, request.pid, timeout_s))
        return self.answers[worker](request)


def take(made: Made) -> Dump | Refusal:
    return asyncio.run(take_dump(made, A.id))


def test_a_live_worker_is_asked_itself() -> None:
    """Its own agent has the time it needs, and nobody else is troubled."""
    made = Made({A.id: "live", B.id: "live"}, {A.id: dumped(1)})
    answer = take(made)
    assert isinstance(answer, Dump)
    assert (answer.pid, answer.taken_by) == (1, 1)
    assert made.asked == [(1, None, OWN_S)]


def test_a_silent_worker_is_not_waited_for_long() -> None:
    """A sibling takes the dump while there is something left to dump."""
    made = Made({A.id: "silent", B.id: "live"}, {A.id: nothing, B.id: dumped(2)})
    answer = take(made)
    assert isinstance(answer, Dump)
    assert (answer.pid, answer.taken_by) == (1, 2)
    assert made.asked[0] == (1, None, SILENT_S)
    assert made.asked[1][:2] == (2, 1)


def test_a_worker_without_a_connection_is_not_asked() -> None:
    """Without a connection there is nobody to ask but the siblings."""
    made = Made({A.id: "connecting", B.id: "live"}, {B.id: dumped(2)})
    take(made)
    assert [pid for pid, _, _ in made.asked] == [2]


def test_what_a_worker_refuses_for_itself_stands() -> None:
    """Actions that are switched off aren't got around by way of a sibling."""
    made = Made({A.id: "live", B.id: "live"}, {A.id: refused, B.id: dumped(2)})
    answer = take(made)
    assert isinstance(answer, Refusal)
    assert answer.reason == "not allowed here"
    assert len(made.asked) == 1


def test_a_second_sibling_may_do_what_the_first_could_not() -> None:
    """A sibling's refusal is only that sibling's."""
    made = Made({A.id: "silent", B.id: "live", C.id: "live"}, {A.id: nothing, B.id: refused, C.id: dumped(3)})
    answer = take(made)
    assert isinstance(answer, Dump)
    assert answer.taken_by == 3


def test_nobody_to_ask_is_a_refusal_with_a_way_out() -> None:
    """A lone silent worker is left to whoever may trace it."""
    answer = take(Made({A.id: "silent"}, {A.id: nothing}))
    assert isinstance(answer, Refusal)
    assert answer.reason == "no answer"
    assert "py-spy dump --pid 1" in answer.advice


def test_a_worker_that_is_gone_cannot_be_dumped() -> None:
    """The dead have no stacks."""
    answer = take(Made({A.id: "gone", B.id: "live"}, {}))
    assert isinstance(answer, Refusal)
    assert answer.reason == "the worker is gone"


def test_who_answers_nobody_is_asked_by_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the last: what it writes is a dump like another, which says how it was taken, and why."""
    asked: list[int] = []

    async def written(registration: Registration) -> Written:
        asked.append(registration.worker.pid)
        frames = [WrittenFrame("catastrophic", "/srv/shop/app/reports.py", 42)]
        return Written([WrittenThread(5, []), WrittenThread(9, frames, is_main=True)], cut=True)

    monkeypatch.setattr("perftui.sources.actions.written_stacks", written)
    made = Made({A.id: "silent"}, {A.id: nothing})
    answer = take(made)
    assert isinstance(answer, Dump)
    assert (answer.pid, answer.taken_by, answer.method, asked) == (1, 0, "faulthandler", [1])
    assert [thread.name for thread in answer.threads] == ["MainThread", None]
    assert answer.threads[0].frames[0].short_file == "app/reports.py"
    assert answer.note.startswith("written on a signal: no answer; no more than 100 threads are written")


def test_whoever_can_not_be_asked_by_a_signal_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside what was tried before; of one that listens to none, nothing is said of signals."""

    async def written(registration: Registration) -> Written:
        raise NotWrittenError("it is stopped")

    monkeypatch.setattr("perftui.sources.actions.written_stacks", written)
    made = Made({A.id: "silent"}, {A.id: nothing})
    answer = take(made)
    assert isinstance(answer, Refusal)
    assert answer.reason == "no answer"
    monkeypatch.setattr(
        Made,
        "workers",
        lambda self: [
            Registration(wire=1, worker=A, socket="", stacks=StacksOnSignal(path="/x.stacks", signal=39))
        ],
    )
    answer = take(made)
    assert isinstance(answer, Refusal)
    assert answer.reason == "no answer; by a signal: it is stopped"


def test_variables_are_asked_of_the_worker_itself_alone() -> None:
    """A sibling sees stacks, and must not be asked for what it could only guess."""
    made = Made({A.id: "silent", B.id: "live"}, {A.id: nothing, B.id: dumped(2)})
    answer = asyncio.run(take_dump(made, A.id, locals_of="build_report"))
    assert isinstance(answer, Refusal)
    assert [pid for pid, _, _ in made.asked] == [1]
