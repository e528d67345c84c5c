"""Following the workers on this host, each played by an agent of the test's own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from perftui.model.events import (
    EvidenceKept,
    FrameReceived,
    HistoryReceived,
    LinkChanged,
    SourceEvent,
    WorkerFound,
    WorkerGone,
    WorkerJoined,
)
from perftui.sources.live import LiveSource
from perftui.sources.target import TargetError, parse_live
from perftui_agent.wire.frames import Hello, History
from perftui_agent.wire.incidents import Evidence
from tests.support.boxes import write_box
from tests.support.fake_agent import fake_agent, register
from tests.support.frames import T, frame, worker
from tests.support.servers import free_port, private_dir

E = TypeVar("E", bound=SourceEvent)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A runtime directory with a name short enough for sockets."""
    path = private_dir()
    yield path
    shutil.rmtree(path)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())


async def next_of(source: LiveSource, kind: type[E]) -> E:
    """Return the next event of a kind; whatever comes before it is of no interest."""
    async for event in source:
        if isinstance(event, kind):
            return event
    raise AssertionError("a source never ends")


def source_of(directory: Path, *targets: str) -> LiveSource:
    return LiveSource(parse_live(targets), where=[directory])


def test_a_worker_is_found_greeted_and_heard(directory: Path) -> None:
    """The events of a worker come in the order of its life."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, source_of(directory, "8000") as source:
            sent = frame(1, T + 1)
            await agent.send(sent)
            events = [await anext(source) for _ in range(4)]
            assert [type(event) for event in events] == [
                WorkerFound,
                WorkerJoined,
                LinkChanged,
                FrameReceived,
            ]
            assert isinstance(events[3], FrameReceived)
            assert (events[3].worker, events[3].frame) == (agent.identity.id, sent)

    run(scenario)


def test_earlier_frames_come_as_history(directory: Path) -> None:
    """What an agent kept from before the connection is told apart from what it sends live."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, source_of(directory, "8000") as source:
            await agent.send(History(frames=[frame(1, T + 1), frame(2, T + 2)], last=True))
            told = [await next_of(source, HistoryReceived) for _ in range(2)]
            assert [[each.seq for each in event.frames] for event in told] == [[2], [1]]

    run(scenario)


def test_the_present_is_told_before_the_past(directory: Path) -> None:
    """A frame that comes while much of the past still waits to be told is the next thing told."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, source_of(directory, "8000") as source:
            past = [frame(seq, T + seq) for seq in range(1, 101)]
            await agent.send(History(frames=past[50:]), History(frames=past[:50], last=True))
            seqs = [(await next_of(source, HistoryReceived)).frames[0].seq for _ in range(3)]
            await agent.send(frame(101, T + 101))
            while not isinstance(event := await anext(source), FrameReceived):
                assert isinstance(event, HistoryReceived)
                seqs.append(event.frames[0].seq)
            assert event.frame.seq == 101
            assert len(seqs) < 50
            assert seqs == list(range(100, 100 - len(seqs), -1))

    run(scenario)


def test_the_first_picture_has_a_head_start(directory: Path) -> None:
    """Of the past only the latest second is told, and the present, until somebody looks back."""

    async def scenario() -> None:
        source = LiveSource(parse_live(["8000"]), where=[directory], head_start_s=15.0)
        async with fake_agent(directory) as agent, source:
            await agent.send(History(frames=[frame(seq, T + seq) for seq in (1, 2, 3)], last=True))
            assert (await next_of(source, HistoryReceived)).frames[0].seq == 3
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(next_of(source, HistoryReceived), 0.2)
            source.look_back()
            assert [(await next_of(source, HistoryReceived)).frames[0].seq for _ in range(2)] == [2, 1]

    run(scenario)


def test_a_new_worker_joins(directory: Path) -> None:
    """Who registers later is found by the watch, without being asked for again."""

    async def scenario() -> None:
        async with fake_agent(directory), source_of(directory, "8000") as source:
            await next_of(source, WorkerJoined)
            async with fake_agent(directory) as newcomer:
                joined = await next_of(source, WorkerJoined)
                assert joined.hello.worker.pid == newcomer.pid

    run(scenario)


def test_a_worker_that_learns_its_address_later_joins(directory: Path) -> None:
    """A server that registers before it listens is waited for."""

    async def scenario() -> None:
        async with fake_agent(directory, tcp=()) as agent:

            async def listen() -> None:
                await asyncio.sleep(0.2)
                register(agent, tcp=["127.0.0.1:8000"])

            listening = asyncio.create_task(listen())
            async with source_of(directory, "8000") as source:
                assert (await next_of(source, WorkerFound)).identity.pid == agent.pid
            await listening

    run(scenario)


def test_a_killed_worker_is_gone_and_its_sibling_stays(directory: Path) -> None:
    """A death is told once, and the link lives as long as anyone does."""

    async def scenario() -> None:
        async with (
            fake_agent(directory) as victim,
            fake_agent(directory) as sibling,
            source_of(directory, "8000") as source,
        ):
            await next_of(source, WorkerJoined)
            await next_of(source, WorkerJoined)
            victim.kill()
            await victim.drop()
            assert (await next_of(source, WorkerGone)).worker == victim.identity.id
            assert [each.worker.pid for each in source.workers()] == [sibling.pid]
            assert source.session.link == "live"

    run(scenario)


def test_a_worker_that_dies_without_its_connection_ending_is_gone_too(directory: Path) -> None:
    """The watch looks at processes as well: an inherited socket may outlive its worker."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, source_of(directory, "8000") as source:
            await next_of(source, WorkerJoined)
            agent.kill()
            await next_of(source, WorkerGone)
            assert source.session.link == "lost"

    run(scenario)


def test_a_killed_worker_leaves_the_frames_it_could_not_send(directory: Path) -> None:
    """Its black box is read once it is gone: what had come live isn't told again."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, source_of(directory, "8000") as source:
            await agent.send(frame(1, T + 1))
            await next_of(source, FrameReceived)
            write_box(directory, agent.hello, [frame(seq, T + seq) for seq in (1, 2, 3)])
            agent.kill()
            await next_of(source, WorkerGone)
            left = [await next_of(source, HistoryReceived) for _ in range(2)]
            assert [(each.worker, each.frames[0].seq) for each in left] == [
                (agent.identity.id, 3),
                (agent.identity.id, 2),
            ]

    run(scenario)


def test_a_dropped_connection_is_made_again(directory: Path) -> None:
    """A worker that lives is joined a second time, and its frames come on."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, source_of(directory, "8000") as source:
            await next_of(source, WorkerJoined)
            await agent.send(frame(1, T + 1))
            await next_of(source, FrameReceived)
            await agent.drop()
            await next_of(source, WorkerJoined)
            await agent.send(frame(5, T + 5))
            assert (await next_of(source, FrameReceived)).frame.seq == 5

    run(scenario)


@pytest.mark.parametrize(
    "garbage", [b"\xc1", b"", b"\x93" * 1000, "text"], ids=["byte", "empty", "deep", "text"]
)
def test_garbage_ends_the_connection_and_nothing_else(directory: Path, garbage: bytes | str) -> None:
    """A peer that talks nonsense is connected to again, as after any drop."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent, source_of(directory, "8000") as source:
            await next_of(source, WorkerJoined)
            await agent.send()
            await agent.send_raw(garbage)
            await next_of(source, WorkerJoined)

    run(scenario)


def test_an_agent_that_says_it_is_someone_else_is_not_believed(directory: Path) -> None:
    """The hello has to name the worker that was registered."""

    async def scenario() -> None:
        impostor = Hello(wire=1, worker=worker(4242))
        async with (
            fake_agent(directory, hello=impostor),
            fake_agent(directory) as honest,
            source_of(directory, "8000") as source,
        ):
            assert (await next_of(source, WorkerJoined)).hello.worker.pid == honest.pid
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(next_of(source, WorkerJoined), 0.5)

    run(scenario)


def test_another_wire_version_is_a_clear_error(directory: Path) -> None:
    """Who speaks another version is told which side to upgrade."""

    async def scenario() -> None:
        async with fake_agent(directory, wire=2):
            with pytest.raises(TargetError, match="version 2 of the wire") as raised:
                await source_of(directory, "8000").__aenter__()
            assert raised.value.advice == "upgrade perftui"

    run(scenario)


def test_no_target_means_the_only_service(directory: Path) -> None:
    """With one service on the host nothing needs to be named."""

    async def scenario() -> None:
        async with fake_agent(directory, tcp=["0.0.0.0:8000"]), source_of(directory) as source:
            assert source.name == "localhost:8000"

    run(scenario)


def test_no_target_among_several_services_is_a_choice(directory: Path) -> None:
    """The error lists what could be typed."""

    async def scenario() -> None:
        async with (
            fake_agent(directory, service="shop", tcp=["127.0.0.1:8000"]),
            fake_agent(directory, service="shop", tcp=["127.0.0.1:8000"]),
            fake_agent(directory, service="pay", tcp=(), unix=["/run/pay.sock"]),
        ):
            with pytest.raises(TargetError, match="2 instrumented services") as raised:
                await source_of(directory).__aenter__()
            choice = "unix:/run/pay.sock (pay, 1 worker), localhost:8000 (shop, 2 workers)"
            assert raised.value.advice == choice

    run(scenario)


def test_a_stale_registration_is_no_worker(directory: Path) -> None:
    """An entry whose process is no more is passed over, and so is one whose pid is another's by now."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent:
            recycled = agent.identity.__class__(
                host="box",
                pid=agent.pid,
                started_at=agent.identity.started_at - 60,
                service="shop",
                supervisor_pid=1,
            )
            agent.identity = recycled
            register(agent, tcp=["127.0.0.1:8000"])
            with pytest.raises(TargetError):
                await source_of(directory, f"localhost:{free_port()}", "8000").__aenter__()
            agent.kill()
            with pytest.raises(TargetError):
                await source_of(directory, f"pid:{agent.pid}").__aenter__()

    run(scenario)


def test_a_socket_that_is_none_is_refused(directory: Path) -> None:
    """A file in the place of a socket is never opened."""

    async def scenario() -> None:
        async with fake_agent(directory) as agent:
            agent.socket.unlink()
            agent.socket.write_text("")
            async with source_of(directory, "8000") as source:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(next_of(source, WorkerJoined), 0.4)

    run(scenario)


def test_what_was_kept_is_told_by_the_living_and_found_of_the_dead(directory: Path) -> None:
    """Of this service alone, and of a living worker only what it says itself."""
    told = Evidence(id="a", kind="trigger", at=1, outcome="taken")
    dead, other = worker(9_002), worker(9_003)
    sent = frame(1, T + 1)
    sent.evidence = [told]

    async def scenario() -> None:
        async with fake_agent(directory) as agent:
            of_this = msgspec.structs.replace(dead, service=agent.identity.service)
            write_box(directory, Hello(wire=1, worker=of_this), [sent])
            write_box(directory, Hello(wire=1, worker=msgspec.structs.replace(other, service="bank")), [sent])
            async with source_of(directory, "8000") as source:
                found = await next_of(source, EvidenceKept)
                assert (found.worker, found.evidence) == (dead.id, (told,))
                await agent.send(History(evidence=[told]))
                sent_by = await next_of(source, EvidenceKept)
                assert (sent_by.worker, sent_by.evidence) == (agent.identity.id, (told,))

    run(scenario)
