"""A real service, recorded by the real command line, and looked at when it is over."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perftui.app import Dashboard
from perftui.feed import LiveFeed
from perftui.model.events import EvidenceKept
from perftui.model.evidence import result_of
from perftui.model.parts import pid_of
from perftui.recording.looking import summary_between
from perftui.recording.reader import Recording
from perftui.sources.live import LiveSource
from perftui.sources.target import parse_live
from perftui_agent.wire.dumps import Dump
from tests.perftui.screens.seen import Seen
from tests.support import command
from tests.support.servers import Service, running, wait_until, write_app

SHOP = """
    from fastapi import FastAPI
    from perftui_agent import instrument

    app = FastAPI()
    instrument(app, service="shop")

    @app.get("/items/{number}")
    async def item(number: int) -> dict[str, int]:
        return {"number": number}

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("no")
"""


@contextmanager
def recording(service: Service, path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run `perftui record` over the block, which begins when it records."""
    with command.Forked("record", service.target, "-o", str(path), *options, env=service.env) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first.startswith("recording"), first + process.stderr.read()
        try:
            yield process
        finally:
            process.kill()


def state(service: Service, path: Path, *options: str) -> dict[str, object]:
    """Return what `perftui snapshot --json` says of a recording."""
    printed = service.perftui("snapshot", str(path), "--json", *options)
    assert printed.returncode == 0, printed.stderr
    document: dict[str, object] = json.loads(printed.stdout)
    return document


def test_what_was_recorded_is_what_was_sent(tmp_path: Path) -> None:
    """Ended or killed, a recording has every request of its time, on whichever worker, when nothing runs."""
    ended, killed = tmp_path / "ended.perftui", tmp_path / "killed.perftui"
    with running(write_app(tmp_path, SHOP), workers=2) as service:
        service.wait_registered()
        service.get("/items/1", times=7)
        time.sleep(1.2)  # the second that has begun would be told of as it ends
        with recording(service, killed) as doomed, recording(service, ended) as process:
            service.get("/items/1", times=40)
            service.get("/broken", times=5)
            # A frame that tells of them, and the second after which a kill loses nothing of it.
            time.sleep(3)
            doomed.send_signal(signal.SIGKILL)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert process.stderr is not None
            said = process.stderr.read()
            assert f"wrote {ended}" in said
            assert f"perftui replay {ended}" in said
        env_of = service
    for path in (ended, killed):
        document = state(env_of, path)
        totals = document["totals"]
        assert isinstance(totals, dict)
        assert totals["requests"] == 45
        assert document["service"] == "shop"
        assert document["target"] == service.target
        routes = {row["route"]: row["errors"] for row in document["routes"]}  # type: ignore[attr-defined]
        assert routes == {"GET /items/{number}": 0, "GET /broken": 5}
        assert ("notes" in document) is (path == killed)


def test_a_recording_of_some_seconds_ends_by_itself(tmp_path: Path) -> None:
    """`--for` ends it; a file of the same name is refused, and a verb that needs a service says so."""
    path = tmp_path / "a.perftui"
    with running(write_app(tmp_path, SHOP), workers=1) as service:
        service.wait_registered()
        began = time.monotonic()
        made = service.perftui("record", service.target, "-o", str(path), "--for", "2s")
        assert made.returncode == 0, made.stderr
        assert time.monotonic() - began < 30
        again = service.perftui("record", service.target, "-o", str(path))
        assert (again.returncode, again.stdout) == (2, "")
        assert "exists already" in again.stderr
        dumped = service.perftui("dump", str(path))
        assert dumped.returncode == 2
        assert "is a recording, and this needs a service that runs" in dumped.stderr
        both = service.perftui("snapshot", str(path), service.target)
        assert both.returncode == 2
        assert "a recording is looked at by itself" in both.stderr
    wait_until(path.exists, "the recording")


def test_r_records_beside_the_dashboard_and_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`R` asks where; what happens then is in the file, with the mark that was set and the dump taken."""
    monkeypatch.chdir(tmp_path)
    with running(write_app(tmp_path, SHOP), workers=1) as service:
        service.wait_registered()
        monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(service.runtime_dir))

        async def scene() -> None:
            async with LiveSource(parse_live([service.target])) as source:
                app = Dashboard(LiveFeed(source), depth="full", targets=source.targets)
                async with app.run_test(size=(120, 40)) as pilot:
                    seen = Seen(app, pilot)
                    await until(lambda: app.picture.summary.has_numbers)
                    await seen.press("R")
                    assert re.search(r"Record into .*/shop-[-0-9]+\.perftui\?", seen.lines()[-1])
                    await seen.press("y")
                    assert app._recordings is not None
                    recordings = app._recordings
                    await until(lambda: recordings.recorder is not None and recordings.recorder.size > 2000)
                    await asyncio.to_thread(service.get, "/items/1", 9)
                    await seen.press("b", "6", "D", "y")
                    await until(lambda: "MainThread" in seen.text())
                    # Somebody else asks meanwhile, in another process.
                    other = await asyncio.to_thread(service.perftui, "dump", service.target)
                    assert other.returncode == 0, other.stderr
                    await asyncio.sleep(1.5)
                    await seen.press("escape", "R")
                    assert "wrote" in seen.lines()[-1]

        asyncio.run(scene())
    (path,) = tmp_path.glob("shop-*.perftui")
    with Recording.open(path) as recording:
        assert recording.damage == ()
        story = recording.story()
        assert [type(each).__name__ for each in story].count("Marked") == 1
        own, others = (each for each in story if isinstance(each, EvidenceKept))
        for kept in (own, others):
            dump = result_of(kept.evidence[0])
            assert isinstance(dump, Dump)
            assert pid_of(kept.evidence[0].worker) == dump.pid
        assert summary_between(recording, recording.began_at, recording.ended_at).totals.requests == 9


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail after a while."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - of what a real service does
            await asyncio.sleep(0.05)
