"""The door through which clients ask for dumps."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
import pytest

from perftui_agent.inspect.inspector import Inspector
from perftui_agent.wire.dumps import Dump, DumpRequest, Refusal
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.messages import ActionResult
from perftui_agent.wire.registration import Registration
from tests.agent.inspect.processes import eventually, on_agent_thread, python

READY = "print('ready', flush=True); input()"


def registration(pid: int, service: str = "shop") -> Registration:
    worker = WorkerIdentity(
        host=socket.gethostname(),
        pid=pid,
        started_at=psutil.Process(pid).create_time(),
        service=service,
        supervisor_pid=os.getppid(),
    )
    return Registration(wire=1, worker=worker, socket="/run/s")


def nobody() -> list[Registration]:
    return []


def inspector(
    registrations: Callable[[], Iterable[Registration]] = nobody, *, actions_allowed: bool = True
) -> Inspector:
    return Inspector(os.getpid(), actions_allowed=actions_allowed, registrations=registrations)


def ask(door: Inspector, pid: int | None, request_id: str = "d1") -> ActionResult | Refusal:
    request = DumpRequest(id=request_id, pid=pid)
    return on_agent_thread(lambda: door.act(request, peer="uid 0"))


@pytest.mark.parametrize("named", [True, False])
def test_own(named: bool) -> None:
    """A worker that is asked for itself, by pid or without one, needs no registration."""
    dump = ask(inspector(), os.getpid() if named else None)

    assert isinstance(dump, Dump)
    assert (dump.id, dump.pid, dump.taken_by) == ("d1", os.getpid(), os.getpid())


def test_sibling(tmp_path: Path) -> None:
    """A registered sibling is dumped; a registered stranger is not."""
    with python(READY, tmp_path) as process:
        own = registration(os.getpid())
        dump = ask(inspector(lambda: [own, registration(process.pid)]), process.pid)
        refusal = ask(inspector(lambda: [own, registration(process.pid, "bank")]), process.pid)

    assert isinstance(dump, Dump)
    assert (dump.pid, dump.taken_by) == (process.pid, os.getpid())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == f"pid {process.pid} is no worker of this service that is registered here"


@pytest.mark.parametrize("pid", [0, -1, 1, 2**31 - 1, 2**63 - 1])
def test_other_pids(pid: int) -> None:
    """A pid that isn't registered can't be addressed, whatever it stands for."""
    refusal = ask(inspector(lambda: [registration(os.getpid())]), pid)

    assert isinstance(refusal, Refusal)
    assert refusal.reason == f"pid {pid} is no worker of this service that is registered here"


def test_registrations_unreadable() -> None:
    """A runtime directory that can't be trusted names no siblings; the worker itself is dumped."""

    def unsafe() -> list[Registration]:
        raise PermissionError

    door = inspector(unsafe)
    assert isinstance(ask(door, os.getppid()), Refusal)
    assert isinstance(ask(door, None), Dump)


def test_switched_off() -> None:
    """Where actions are switched off nothing is done, and it is said how to switch them on."""
    refusal = ask(inspector(actions_allowed=False), None)

    assert refusal == Refusal(
        id="d1",
        reason="actions are switched off in this service",
        advice="start it without PERFTUI_ACTIONS=0",
    )


def test_long_id() -> None:
    """An id without bounds is not echoed."""
    refusal = ask(inspector(), None, request_id="x" * 1_000_000)

    assert isinstance(refusal, Refusal)
    assert (len(refusal.id), refusal.reason) == (200, "the request's id is too long")


def test_twenty_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Of twenty requests at once one is carried out, and the others are told to come back."""
    caplog.set_level(logging.INFO, "perftui.audit")
    door = inspector()

    async def ask_all() -> list[ActionResult | Refusal]:
        requests = [DumpRequest(id=str(number)) for number in range(20)]
        return await asyncio.gather(*[door.act(request, peer="uid 0\n") for request in requests])

    answers = on_agent_thread(ask_all)
    own = os.getpid()

    assert [type(answer) for answer in answers] == [Dump] + [Refusal] * 19
    assert [answer.id for answer in answers] == [str(number) for number in range(20)]
    assert {answer.advice for answer in answers if isinstance(answer, Refusal)} == {"ask again in a second"}
    eventually(lambda: len(caplog.messages) == 2)
    assert caplog.messages[0] == f"dump of pid {own} for uid 0: refused: busy with a dump of pid {own}"
    assert caplog.messages[1].startswith(f"dump of pid {own} for uid 0: done (")
    assert caplog.messages[1].endswith("; 19 refused before it")
