"""The verbs on live workers, each played by an agent of the test's own."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perftui_agent.wire.actions import Finish, Functions, FunctionsRequest
from perftui_agent.wire.dumps import Dump, DumpRequest, StackFrame, ThreadDump
from perftui_agent.wire.identity import SloTarget
from perftui_agent.wire.messages import FromClient
from tests.support import command
from tests.support.fake_agent import FakeAgent, fake_agent
from tests.support.frames import frame, route
from tests.support.servers import private_dir


@pytest.fixture
def directory() -> Iterator[Path]:
    """A runtime directory with a name short enough for sockets."""
    path = private_dir()
    yield path
    shutil.rmtree(path)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(40):
            await scenario()

    asyncio.run(bounded())


async def start(directory: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "perftui", *arguments,
        env=os.environ | {"PERFTUI_RUNTIME_DIR": str(directory)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def perftui(directory: Path, *arguments: str) -> tuple[int | None, str, str]:
    """Run the command; return its exit code, stdout and stderr."""
    env = os.environ | {"PERFTUI_RUNTIME_DIR": str(directory)}
    done = await asyncio.to_thread(command.run, *arguments, env=env)
    return done.returncode, done.stdout, done.stderr


@asynccontextmanager
async def talking(
    agent: FakeAgent, requests: int = 0, cpu_percents: Iterable[float] = itertools.repeat(12.5)
) -> AsyncIterator[None]:
    """Have an agent send a frame at each whole second, each with `requests` requests."""

    async def talk() -> None:
        second = int(time.time())
        for seq, cpu_percent in enumerate(cpu_percents, 1):
            await asyncio.sleep(second + seq - time.time())
            told = frame(seq, second + seq, [route("GET /", [5.0] * requests)])
            assert told.process is not None
            process = msgspec.structs.replace(told.process, cpu_percent=cpu_percent)
            await agent.send(msgspec.structs.replace(told, process=process))

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_ls_tells_who_is_there_and_how_they_are(directory: Path) -> None:
    """A service is its workers with addresses, versions and health."""

    async def scenario() -> None:
        async with fake_agent(directory, tcp=["0.0.0.0:8000"]) as agent, talking(agent):
            code, out, err = await perftui(directory, "ls", "--json")
            assert (code, err) == (0, "")
            service = json.loads(out)["services"][0]
            assert (service["service"], service["target"], service["ports"]) == (
                "shop",
                "localhost:8000",
                [8000],
            )
            worker = service["workers"][0]
            assert (worker["pid"], worker["state"], worker["server"]) == (agent.pid, "ok", "uvicorn 0.54.0")
            code, out, err = await perftui(directory, "ls")
            assert (code, err) == (0, "")
            heading, line = out.splitlines()
            assert heading.split()[:4] == ["service", "target", "pid", "state"]
            assert line.split()[:4] == ["shop", "localhost:8000", str(agent.pid), "ok"]

    run(scenario)


def test_ls_tells_a_worker_that_does_not_answer(directory: Path) -> None:
    """A live process whose agent sends nothing is silent."""

    async def scenario() -> None:
        async with fake_agent(directory):
            _, out, _ = await perftui(directory, "ls", "--json")
            assert json.loads(out)["services"][0]["workers"][0]["state"] == "silent"

    run(scenario)


def test_a_snapshot_counts_every_request_of_the_watch(directory: Path) -> None:
    """The totals are those of the frames that cover the watch, over all workers."""

    async def scenario() -> None:
        slo = [SloTarget(p99_ms=200), SloTarget(route="GET /", p95_ms=1)]
        async with (
            fake_agent(directory, slo=slo) as one,
            fake_agent(directory, slo=slo) as other,
            talking(one, requests=3),
            talking(other, requests=4),
        ):
            code, out, err = await perftui(directory, "snapshot", "localhost:8000", "--for", "2s", "--json")
            assert (code, err) == (0, "watching localhost:8000 for 2 s (2 of 2 workers)\n")
            document = json.loads(out)
            assert document["coverage"] == {"workers_seen": 2, "workers_known": 2, "frames_dropped": 0}
            served = {row["pid"]: row["requests"] for row in document["workers"]}
            assert document["totals"]["requests"] == sum(served.values())
            frames = (served[one.pid] / 3, served[other.pid] / 4)
            assert all(each.is_integer() for each in frames)
            assert document["window_s"] >= max(frames) >= min(frames) >= 2
            assert [(each["scope"], each["met"]) for each in document["slo"]] == [
                ("all", True),
                ("GET /", False),
            ]
            assert document["routes"][0]["slo"] == [
                {"slo": "p95<1ms", "value": document["routes"][0]["p95_ms"], "met": False}
            ]

    run(scenario)


def test_a_snapshot_for_people_is_text(directory: Path) -> None:
    """Without --json the same figures come aligned and with their units."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, talking(agent, requests=2):
            code, out, _ = await perftui(directory, "snapshot", "--for", "500ms")
            assert code == 0
            lines = out.splitlines()
            assert lines[0].startswith("shop · localhost:8000 · ")
            assert lines[0].endswith(" · workers 1/1")
            assert "2/s" in lines[1].replace("2.0/s", "2/s")
            row = next(line for line in lines if line.strip().startswith("GET /"))
            assert "5.0ms" in row

    run(scenario)


def test_the_cpu_of_a_snapshot_is_that_of_its_whole_window(directory: Path) -> None:
    """As the rates beside it: the last second says nothing of the minute before."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, talking(agent, 1, itertools.cycle([90.0, 10.0])):
            code, out, _ = await perftui(directory, "snapshot", "--for", "2s", "--json")
            [worker] = json.loads(out)["workers"]
            assert code == 0
            assert 30 <= worker["cpu_percent"] <= 70

    run(scenario)


def test_a_snapshot_shows_the_rows_that_are_wanted(directory: Path) -> None:
    """A filter chooses rows; what is counted is counted."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, talking(agent, requests=2):
            arguments = ("snapshot", "--for", "500ms", "--json", "--filter", "route:/nowhere")
            code, out, _ = await perftui(directory, *arguments)
            document = json.loads(out)
            assert (code, document["routes"], len(document["workers"])) == (0, [], 1)
            assert document["totals"]["requests"] > 0

    run(scenario)


def test_a_snapshot_of_workers_that_say_nothing_cannot_be_done(directory: Path) -> None:
    """Without a single frame there is no state to print, and the way on is a dump."""

    async def scenario() -> None:
        async with fake_agent(directory):
            code, out, err = await perftui(directory, "snapshot", "8000", "--for", "100ms")
            assert (code, out) == (2, "")
            assert err.splitlines()[-2:] == [
                "perftui: none of the workers of 8000 answered",
                "  what they do: perftui dump 8000",
            ]

    run(scenario)


def test_an_interrupt_ends_with_130(directory: Path) -> None:
    """ctrl+c during a watch prints nothing more and says so by its code."""
    # A shell that runs the tests in the background has them, and what they start, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def scenario() -> None:
        async with fake_agent(directory) as agent, talking(agent):
            process = await start(directory, "snapshot", "8000", "--for", "60s")
            assert process.stderr is not None
            assert (await process.stderr.readline()).startswith(b"watching")
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
            assert (process.returncode, out, err) == (130, b"", b"\n")

    run(scenario)


def test_sigterm_has_a_watch_print_what_it_has_seen(directory: Path) -> None:
    """However long it was to watch: so does one who has begun it without knowing for how long."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, talking(agent, requests=3):
            process = await start(directory, "snapshot", "8000", "--for", "10m", "--json")
            assert process.stderr is not None
            assert (await process.stderr.readline()).startswith(b"watching")
            await asyncio.sleep(1)
            process.send_signal(signal.SIGTERM)
            out, err = await process.communicate()
            assert (process.returncode, err) == (0, b"")
            assert json.loads(out)["totals"]["requests"] > 0

    run(scenario)


def test_functions_are_of_as_many_requests_as_were_asked_for(directory: Path) -> None:
    """Though the worker that is left, as others have more of them, has just had its first."""
    asked: list[int] = []

    def answering(pid: int) -> Callable[[FromClient], Functions | None]:
        def answer(request: FromClient) -> Functions | None:
            if isinstance(request, FunctionsRequest):
                asked.append(pid)
                if len(asked) == 1:
                    return None
            elif not isinstance(request, Finish):
                return None
            measured = 1 if isinstance(request, Finish) else 10
            return Functions(
                request.id, pid, taken_at=0, took_ns=1, route="GET /", requests=measured, asked=10
            )

        return answer

    async def scenario() -> None:
        async with fake_agent(directory) as one, fake_agent(directory) as other:
            for agent in (one, other):
                agent.answer = answering(agent.pid)
            arguments = ("functions", "8000", "--route", "GET /", "--requests", "10", "--json")
            process = await start(directory, *arguments)
            while not asked:  # noqa: ASYNC110 - what is asked comes in another task
                await asyncio.sleep(0.02)
            busier = other if asked == [one.pid] else one
            async with talking(busier, requests=3):
                out, err = await process.communicate()
            assert process.returncode == 0, err
            document = json.loads(out)
            assert (document["pid"], document["requests"]) == (busier.pid, 10)
            assert asked == [one.pid + other.pid - busier.pid, busier.pid]

    run(scenario)


def dumped(request: FromClient) -> Dump:
    """Answer with one thread in the service's code, and three idle ones."""
    assert isinstance(request, DumpRequest)
    busy = StackFrame(
        function="pay", file="/srv/shop/app.py", line=7, short_file="app.py", source="time.sleep(9)"
    )
    wait = StackFrame(
        function="wait", file="/usr/lib/python3.12/threading.py", line=1, short_file="threading.py"
    )
    return Dump(
        id=request.id,
        pid=request.pid or 1,
        taken_at=1_700_000_000_000_000_000,
        took_ns=21_000_000,
        taken_by=1,
        threads=[
            *(
                ThreadDump(name="AnyIO worker thread", thread_id=number, frames=[wait])
                for number in (1, 2, 3)
            ),
            ThreadDump(name="MainThread", thread_id=9, is_main=True, active=True, frames=[busy]),
        ],
    )


def test_a_dump_shows_who_works_first_and_folds_the_idle(directory: Path) -> None:
    """The thread in the service's code is in full, the pool in one line."""

    async def scenario() -> None:
        async with fake_agent(directory, answer=dumped):
            code, out, err = await perftui(directory, "dump", "8000")
            assert (code, err) == (0, "")
            assert out.splitlines() == [
                "worker 1 · 2023-11-14T22:13:20.000Z · py-spy in 21ms",
                "",
                "MainThread (running)",
                "  → app.py:7 pay  time.sleep(9)",
                "",
                "AnyIO worker × 3 idle in wait at threading.py:1",
            ]

    run(scenario)


def test_a_dump_as_json_is_one_document_or_a_list_of_them(directory: Path) -> None:
    """One worker is the dump itself, several are `dumps`."""

    async def scenario() -> None:
        async with fake_agent(directory, answer=dumped) as agent, fake_agent(directory, answer=dumped):
            code, out, _ = await perftui(directory, "dump", "8000", "--worker", str(agent.pid), "--json")
            one: dict[str, Any] = json.loads(out)
            assert code == 0
            keys = {
                "target",
                "worker",
                "at",
                "took_ms",
                "taken_by",
                "method",
                "note",
                "threads_cut",
                "threads",
                "tasks_count",
                "tasks_cut",
                "tasks_of_agent",
                "tasks",
                "locals_of",
                "locals_cut",
                "locals",
            }
            assert set(one) == keys
            assert (one["target"], one["took_ms"], len(one["threads"])) == ("8000", 21.0, 4)
            code, out, _ = await perftui(directory, "dump", "8000", "--json")
            assert [len(each["threads"]) for each in json.loads(out)["dumps"]] == [4, 4]

    run(scenario)


def test_a_refused_dump_is_told_with_its_reason(directory: Path) -> None:
    """A worker that says no is an error with its own words, and exit 2."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent:
            code, out, err = await perftui(directory, "dump", "8000")
            assert (code, out) == (2, "")
            assert err == f"worker {agent.pid}: not today\n  come back tomorrow\n"

    run(scenario)


def test_a_worker_that_is_not_there_is_answered_with_those_that_are(directory: Path) -> None:
    """A wrong pid is told together with the right ones."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent:
            code, _, err = await perftui(directory, "dump", "8000", "--worker", "1")
            assert code == 2
            assert err == f"perftui: 8000 has no worker 1\n  it has: {agent.pid}\n"

    run(scenario)


def test_connect_without_a_terminal_says_what_would_work(directory: Path) -> None:
    """In a pipe or a cron job nobody could press a key: it does not hang there."""

    async def scenario() -> None:
        async with fake_agent(directory, tcp=["127.0.0.1:8000"]) as agent, talking(agent):
            code, out, err = await perftui(directory, "connect", "8000")
            assert (code, out) == (2, "")
            assert err.splitlines() == [
                "perftui: the dashboard needs a terminal",
                "  without one: perftui snapshot 8000",
            ]

    run(scenario)
