"""What verbs do amid a restart: nothing of a service runs, and its next workers are on their way."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perftui.commands import dead
from perftui.commands.dead import dead_instead, has_just_gone, returned, targets_of
from perftui.sources.dead import Dead
from perftui.sources.target import parse_live
from perftui_agent.wire.frames import Hello
from tests.support.boxes import write_box
from tests.support.fake_agent import fake_agent
from tests.support.frames import frame, worker
from tests.support.servers import free_port, private_dir


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The runtime directory of this user."""
    path = private_dir()
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(path))
    yield path
    shutil.rmtree(path)


def died(directory: Path, ago_s: float) -> list[Dead]:
    """Have a worker of the service `shop` be gone for so long."""
    last = int(time.time() - ago_s)
    write_box(directory, Hello(wire=1, worker=worker(_no_pid())), [frame(seq, last + seq) for seq in (-1, 0)])
    return dead_instead(parse_live(["service:shop"]))


def _no_pid() -> int:
    return next(pid for pid in range(4_000_000, 2, -1) if not psutil.pid_exists(pid))


def test_who_has_just_gone_is_waited_for(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What prints once goes on with those who come, and says that it waits."""
    monkeypatch.setattr(dead, "RESTARTS_WITHIN_S", 60.0)
    targets = parse_live(["service:shop"])
    assert died(directory, ago_s=2)

    async def restart() -> tuple[object, ...]:
        waiting = asyncio.create_task(returned(targets))
        await asyncio.sleep(0.2)
        async with fake_agent(directory):
            return await waiting

    assert asyncio.run(restart()) == targets
    assert capsys.readouterr().err.count("waiting for it to come again") == 1


def test_who_went_long_ago_is_not_waited_for(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its last minutes are what there is to see."""
    gone = died(directory, ago_s=120)
    targets = parse_live(["service:shop"])
    assert gone
    assert asyncio.run(returned(targets)) == ()
    assert not has_just_gone(targets, gone)
    assert capsys.readouterr().err == ""


def test_a_port_that_is_held_has_workers_on_their_way(directory: Path) -> None:
    """A supervisor starts others, however long its app takes to import."""

    async def held() -> tuple[bool, bool]:
        port = free_port()
        gone, targets = died(directory, ago_s=120), parse_live([f"localhost:{port}"])
        before = has_just_gone(targets, gone)
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", port)
        async with server:
            return before, has_just_gone(targets, gone)

    assert asyncio.run(held()) == (False, True)


def test_a_process_that_is_no_more_never_comes_again(directory: Path) -> None:
    """Nor is anything waited for that was named by it."""
    gone = died(directory, ago_s=1)
    assert targets_of(parse_live([f"pid:{gone[0].hello.worker.pid}"]), gone) == ()
    assert targets_of(parse_live(["service:shop"]), gone) != ()
