"""Promises 6, 15 and 23: when the agent's thread is there, when it is not, and what it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import unix_connect

from perftui_agent import instrument
from perftui_agent.agent import Agent
from perftui_agent.instrumentation import the_agent
from perftui_agent.presence import Presence
from perftui_agent.rhythm import Rhythm
from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.fitting import fitted
from perftui_agent.wire.frames import Frame, Hello, History
from perftui_agent.wire.registration import Registration, read_registrations
from tests.support.seen import Seen
from tests.support.servers import private_dir, wait_until
from tests.support.timed import REQUEST, client_of, http_scope, in_a_process


@pytest.fixture(autouse=True)
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of the test's own, and no agent running before or after the test."""
    directory = private_dir()
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(directory))
    the_agent().stop()
    yield directory
    the_agent().stop()
    _wait_until_quiet()
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def agent_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "perftui-agent"]


def _wait_until_quiet() -> None:
    wait_until(lambda: not agent_threads(), "the agent's thread to end", timeout_s=10)


def registered(directory: Path) -> Registration:
    """Wait for this process's entry."""
    wait_until(lambda: bool(list(read_registrations(directory))), "an entry", timeout_s=10)
    ((_, entry),) = read_registrations(directory)
    return entry


async def ok(request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


def new_app() -> Starlette:
    return instrument(Starlette(routes=[Route("/items/{item_id}", ok)]))


def seen_until(directory: Path, requests: int) -> Seen:
    """Connect to this process's own agent, and read until it has told of so many requests."""
    seen = Seen()
    with unix_connect(registered(directory).socket, uri="ws://worker/") as client:
        while seen.total < requests:
            data = client.recv(20)
            assert isinstance(data, bytes)
            message = decode_from_agent(data)
            if isinstance(message, Frame):
                seen.add(message)
            elif isinstance(message, History):
                for frame in message.frames:
                    seen.add(frame)
    return seen


def test_promise_15_nothing_starts_at_import_nor_by_instrumenting(runtime_dir: Path) -> None:
    """No thread, no socket, no file: those come with the first lifespan or request."""
    new_app()
    assert agent_threads() == []
    assert list(runtime_dir.iterdir()) == []


def test_the_lifespan_starts_the_agent_and_ends_it(runtime_dir: Path) -> None:
    """It can be found while the app is up; nothing is left of it afterwards."""
    with client_of(new_app()):
        assert registered(runtime_dir).worker.pid == os.getpid()
        assert len(agent_threads()) == 1
    _wait_until_quiet()
    assert list(runtime_dir.iterdir()) == []


def test_the_first_request_starts_the_agent_of_an_app_without_a_lifespan(runtime_dir: Path) -> None:
    """And that request is counted, too."""
    client_of(new_app()).get("/items/1")
    assert seen_until(runtime_dir, 1).requests == {"GET /items/{item_id}": 1}


def test_an_app_that_is_instrumented_in_its_own_lifespan_is_found_before_a_request(runtime_dir: Path) -> None:
    """That lifespan has begun without the agent, and no other one will come."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        instrument(app)
        yield

    with client_of(Starlette(routes=[Route("/items/{item_id}", ok)], lifespan=lifespan)) as client:
        assert registered(runtime_dir).worker.pid == os.getpid()
        client.get("/items/1")
        assert seen_until(runtime_dir, 1).requests == {"GET /items/{item_id}": 1}


def test_two_apps_have_one_agent_that_lives_as_long_as_the_last_of_them(runtime_dir: Path) -> None:
    """Several apps in one process are one worker."""
    with client_of(new_app()) as one:
        with client_of(new_app()) as two:
            one.get("/items/1")
            two.get("/items/2")
            assert len(agent_threads()) == 1
        assert len(agent_threads()) == 1
        assert seen_until(runtime_dir, 2).requests == {"GET /items/{item_id}": 2}
    _wait_until_quiet()


def test_promise_15_twenty_lifespans_leave_nothing(runtime_dir: Path) -> None:
    """No thread, descriptor or file is left, and the last agent counts as well as the first."""
    app = new_app()

    def cycle() -> None:
        with client_of(app) as client:
            registered(runtime_dir)
            client.get("/items/1")

    cycle()
    _wait_until_quiet()
    gc.collect()
    descriptors = len(os.listdir("/dev/fd"))
    for _ in range(20):
        cycle()
    _wait_until_quiet()
    gc.collect()
    assert len(os.listdir("/dev/fd")) <= descriptors
    assert list(runtime_dir.iterdir()) == []
    with client_of(app) as client:
        client.get("/items/1")
        assert seen_until(runtime_dir, 1).total == 1


async def forever(*_: Any) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("amid", [(Presence, "mend"), (Rhythm, "run")], ids=["beginning", "before it beats"])
def test_a_life_that_ends_before_its_first_beat_leaves_the_next_nothing(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch, amid: tuple[type, str]
) -> None:
    """An app that stops as soon as it has started: its requests are not told of as if they were new."""
    app = new_app()
    with monkeypatch.context() as patch:
        patch.setattr(*amid, forever)
        with client_of(app) as client:
            wait_until(lambda: bool(list(runtime_dir.glob("*.sock"))), "an agent", timeout_s=10)
            client.get("/items/1")
        _wait_until_quiet()
    with client_of(app) as client:
        client.get("/items/2")
        assert seen_until(runtime_dir, 1).total == 1


def test_a_life_that_ends_before_its_first_beat_has_told_of_all_it_has_seen(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its frames are cancelled before they have begun; who listens has the last one all the same."""
    app, seen = new_app(), Seen()
    monkeypatch.setattr(Rhythm, "run", forever)
    with client_of(app) as client, unix_connect(registered(runtime_dir).socket, uri="ws://worker/") as asking:
        assert isinstance(decode_from_agent(asking.recv(20, decode=False)), Hello)
        client.get("/items/1")
        the_agent().stop()
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = decode_from_agent(asking.recv(20, decode=False))
                if isinstance(message, Frame):
                    seen.add(message)
    assert seen.requests == {"GET /items/{item_id}": 1}


def test_an_agent_that_starts_again_at_once_counts_everything(runtime_dir: Path) -> None:
    """The thread before it may still be ending: it takes nothing of the new one's."""
    app = new_app()
    for _ in range(5):
        with client_of(app):
            pass
    with client_of(app) as client:
        for _ in range(50):
            client.get("/items/1")
        assert seen_until(runtime_dir, 50).total == 50
        assert len(agent_threads()) == 1


def test_apps_that_start_in_several_threads_at_once_have_one_agent(runtime_dir: Path) -> None:
    """Whoever comes first starts it."""
    agent = Agent()
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        agent.start()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(agent_threads()) == 1
    agent.stop()
    _wait_until_quiet()


def test_stopping_twice_or_before_the_start_does_nothing() -> None:
    """Servers end in many ways."""
    agent = Agent()
    agent.stop()
    agent.start()
    agent.stop()
    agent.stop()
    agent.lifespan_ended()
    _wait_until_quiet()


def test_a_loop_that_is_replaced_is_watched_again(runtime_dir: Path) -> None:
    """Each `asyncio.run` has a loop of its own: the next request brings the new one."""
    app = new_app()

    async def serve() -> None:
        async def receive() -> Any:
            return REQUEST

        async def send(message: Any) -> None:
            pass

        await app(http_scope("/items/1"), receive, send)
        agent = the_agent()
        life = agent._life
        assert life is not None
        async with asyncio.timeout(20):
            while life.loop is not asyncio.get_running_loop():
                await asyncio.sleep(0.05)
                await app(http_scope("/items/1"), receive, send)

    asyncio.run(serve())
    asyncio.run(serve())


def test_an_app_under_trio_is_served_and_counted(runtime_dir: Path) -> None:
    """There is no loop of asyncio's to watch, which is said; requests are timed all the same."""
    with client_of(new_app(), backend="trio") as client:
        assert client.get("/items/1").status_code == 200
        seen = seen_until(runtime_dir, 1)
    assert seen.requests == {"GET /items/{item_id}": 1}
    assert seen.last.probes["event loop"] == "off: no asyncio loop"


@pytest.mark.parametrize("planted", ["a file", "a foreign owner", "a long way to nowhere"])
def test_promise_24_a_runtime_directory_that_cannot_be_costs_the_agent_and_no_response(
    runtime_dir: Path, planted: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log says once that this worker can't be watched, and why; requests are served as ever."""
    bad = runtime_dir / "bad"
    if planted == "a file":
        bad.touch()
    elif planted == "a foreign owner":
        if os.getuid() != 0:
            pytest.skip("only root can give a directory away")
        bad.mkdir()
        os.chown(bad, 12345, -1)
    else:
        bad = Path("/proc/nowhere/at/all")
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(bad))
    app = new_app()
    with caplog.at_level(logging.WARNING, "perftui"), client_of(app) as client:
        _wait_until_quiet()
        for _ in range(100):
            assert client.get("/items/1").status_code == 200
    said = [record.getMessage() for record in caplog.records if record.name == "perftui"]
    assert len(said) == 1
    assert said[0].startswith("perftui: this worker can't be watched: ")
    assert len(the_agent().own.window.pending) == 0, "nothing is kept for nobody"


def test_promise_6_a_probe_that_raises_is_off_and_counted(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attaching, reading, letting go: each fault is shown with the worker, and requests are served."""
    from perftui_agent.probes.machine.garbage import GarbageProbe

    def fail(*_: Any) -> None:
        raise RuntimeError("no such thing in this version")

    for name in ("attach", "fill", "detach"):
        monkeypatch.setattr(GarbageProbe, name, fail)
    with client_of(new_app()) as client:
        assert client.get("/items/1").status_code == 200
        seen = seen_until(runtime_dir, 1)
    assert seen.last.agent.faults["probes.gc"] >= 2
    assert seen.last.probes["gc"] == "off: it failed"
    assert seen.last.probes["process"] == "on"


def test_promise_6_all_probes_may_raise_at_once(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is off and counted under its own name; requests are served, and frames still come."""
    from perftui_agent import every_probe

    def fail(*_: Any) -> None:
        raise RuntimeError("no such thing in this version")

    probes = {
        cls.name: cls
        for name, cls in vars(every_probe).items()
        if name.endswith("Probe") and name not in ("Probe", "EveryProbe")
    }
    assert len(probes) >= 10
    for probe in probes.values():
        for name in ("attach", "fill", "detach"):
            monkeypatch.setattr(probe, name, fail)
    with client_of(new_app()) as client:
        assert client.get("/items/1").status_code == 200
        seen = seen_until(runtime_dir, 1)
    assert {name: seen.last.probes[name] for name in probes} == dict.fromkeys(probes, "off: it failed")
    assert {name: seen.last.agent.faults[f"probes.{name}"] >= 2 for name in probes} == dict.fromkeys(
        probes, True
    )


def test_promise_6_a_full_disk_costs_the_entry_until_there_is_room(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing the entry fails, is counted, and is tried again; the worker goes on."""
    from perftui_agent.serve.rendezvous import Rendezvous

    publish = Rendezvous.publish
    tries = 0

    def full_at_first(self: Rendezvous, *listening: Any) -> bool:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise OSError(28, "No space left on device")
        return publish(self, *listening)

    monkeypatch.setattr(Rendezvous, "publish", full_at_first)
    with client_of(new_app()) as client:
        client.get("/items/1")
        seen = seen_until(runtime_dir, 1)
    assert seen.last.agent.faults["serve.rendezvous"] >= 1


def test_promise_15_a_disabled_agent_does_nothing_at_all() -> None:
    """Neither the class nor the app is touched, no module of the agent's work is even loaded."""
    printed = in_a_process(
        """
        import sys, threading
        from starlette.applications import Starlette
        before = Starlette.__call__
        from perftui_agent import instrument
        app = Starlette()
        assert instrument(app) is app
        async def bare(scope, receive, send): ...
        assert instrument(bare) is bare
        assert Starlette.__call__ is before
        assert "_perftui_probe" not in vars(app)
        print(threading.enumerate() == [threading.main_thread()])
        """,
        PERFTUI_ENABLED="0",
    )
    assert printed == "True\n"


def test_workers_register_where_the_code_says(runtime_dir: Path) -> None:
    """`instrument(app, runtime_dir=…)` wins over its variable."""
    said = runtime_dir / "said"
    printed = in_a_process(
        """
        import os, sys, time
        from pathlib import Path
        from starlette.applications import Starlette
        from perftui_agent import instrument
        from perftui_agent.instrumentation import the_agent
        said = Path(os.environ["SAID"])
        instrument(Starlette(), runtime_dir=said)
        the_agent().start()
        for _ in range(500):
            if list(said.glob("*.json")):
                break
            time.sleep(0.02)
        print(*sorted(path.suffix for path in said.iterdir()))
        """,
        SAID=str(said),
    )
    assert printed == ".json .pulse .ring .sock .stacks\n"
    assert list(runtime_dir.iterdir()) == [said]


def test_promise_15_a_forked_child_has_an_agent_of_its_own(runtime_dir: Path) -> None:
    """What the child serves is the child's; the parent's thread, socket and entry are the parent's."""
    printed = in_a_process(
        """
        import os, sys, threading, time
        from pathlib import Path
        from perftui_agent.instrumentation import the_agent
        from perftui_agent.wire.registration import read_registrations
        directory = Path(os.environ["PERFTUI_RUNTIME_DIR"])

        def registered(pids):
            for _ in range(500):
                found = {entry.worker.pid for _, entry in read_registrations(directory)}
                if found == pids:
                    return True
                time.sleep(0.02)
            return found

        agent = the_agent()
        agent.start()
        assert registered({os.getpid()}) is True
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            assert threading.active_count() == 1, threading.enumerate()
            assert not agent.own.window.open
            agent.start()
            assert registered({parent, os.getpid()}) is True
            agent.stop()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0
        print(registered({parent}))
        agent.stop()
        """
    )
    assert printed == "True\n"


def test_promise_21_a_step_of_the_clock_makes_no_frame_longer_or_shorter(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back by ten minutes, then forward by twenty: one frame a second, on the clock that nobody sets."""
    wall_ns, step_s = time.time_ns, [0.0]
    monkeypatch.setattr("time.time_ns", lambda: wall_ns() + round(step_s[0] * 1e9))
    with client_of(new_app()), unix_connect(registered(runtime_dir).socket, uri="ws://worker/") as client:
        frames: list[Frame] = []
        for step_s[0] in (0.0, -600.0, 600.0):
            until = len(frames) + 3
            while len(frames) < until:
                message = decode_from_agent(client.recv(20))  # type: ignore[arg-type] # they are bytes
                if isinstance(message, Frame):
                    frames.append(message)
    assert [one.seq for one in frames] == list(range(frames[0].seq, frames[0].seq + 9))
    apart_s = [(later.steady_ns - one.steady_ns) / 1e9 for one, later in itertools.pairwise(frames)]
    assert all(0.2 < each < 2.5 for each in apart_s), apart_s
    walls_s = {
        round((one.ended_at - one.steady_ns - frames[0].ended_at + frames[0].steady_ns) / 1e9)
        for one in frames
    }
    assert walls_s == {0, -600, 600}


def test_a_frame_that_cannot_be_encoded_all_the_same_tells_of_the_fault(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker falls silent for it: what comes instead has a number, a span and the agent's faults."""

    def failing(frame: Frame, most_bytes: int) -> bytes:
        if frame.routes:
            raise TypeError("nobody can encode this")
        return fitted(frame, most_bytes)

    monkeypatch.setattr("perftui_agent.rhythm.fitted", failing)
    with (
        client_of(new_app()) as client,
        unix_connect(registered(runtime_dir).socket, uri="ws://worker/") as end,
    ):
        client.get("/items/1")
        seqs: list[int] = []
        faults: dict[str, int] = {}
        while "wire" not in faults or len(seqs) < 3:
            message = decode_from_agent(end.recv(20))  # type: ignore[arg-type] # they are bytes
            if isinstance(message, Frame):
                seqs.append(message.seq)
                faults = message.agent.faults
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert faults["wire"] == 1
