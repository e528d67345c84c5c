"""The remote door from outside: workers are followed through it as if they were here."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import trustme

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
from perftui.sources import door as door_module
from perftui.sources.live import LiveSource, reachable
from perftui.sources.stream import NotAnsweredError
from perftui.sources.target import RemoteTarget, TargetError
from perftui.sources.token import TOKEN as GIVEN
from perftui.sources.token import is_overheard, usable
from perftui_agent.wire.door import Closed, Remains
from perftui_agent.wire.dumps import DumpRequest, Refusal
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Evidence
from tests.support.fake_door import TOKEN, FakeDoor, fake_door, questions, roster, worker

E = TypeVar("E", bound=SourceEvent)

T = 1_750_000_000_000_000_000


@pytest.fixture(autouse=True)
def token() -> Iterator[None]:
    """The one of the fake door is the one that was given."""
    before = GIVEN.set(TOKEN)
    yield
    GIVEN.reset(before)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


def frame(seq: int) -> Frame:
    return Frame(seq=seq, ended_at=T + seq * 10**9, span_ns=10**9, steady_ns=seq * 10**9)


async def next_of(source: LiveSource, kind: type[E]) -> E:
    async for event in source:
        if isinstance(event, kind):
            return event
    raise AssertionError("a source never ends")


@asynccontextmanager
async def followed(prefix: str = "") -> AsyncIterator[tuple[FakeDoor, LiveSource]]:
    async with fake_door(prefix) as door, LiveSource([door.target]) as source:
        yield door, source


def test_a_worker_behind_a_door_is_found_greeted_and_heard() -> None:
    """Below a prefix as well; the events are those of a worker on this host."""

    async def scenario() -> None:
        async with followed("/shop/") as (door, source):
            await door.give(worker(7), frame(1))
            events = [await anext(source) for _ in range(4)]
            kinds = [WorkerFound, WorkerJoined, LinkChanged, FrameReceived]
            assert [type(event) for event in events] == kinds
            assert source.name == door.target.url

    run(scenario)


def test_each_message_that_is_taken_is_said_to_be() -> None:
    """So much more may come, and no more."""

    async def scenario() -> None:
        async with followed() as (door, source):
            for seq in range(1, 4):
                await door.give(worker(7), frame(seq))
                await next_of(source, FrameReceived)
            await door.until(lambda: door.taken(1) == 4)  # with the hello

    run(scenario)


def test_several_workers_come_by_one_connection_and_one_that_joins_as_well() -> None:
    """Each has a channel of its own."""

    async def scenario() -> None:
        async with followed() as (door, source):
            door.there = roster(worker(7), worker(8))
            await door.say(door.there)
            await door.give(worker(8), frame(1))
            assert (await next_of(source, FrameReceived)).worker == worker(8).id
            assert sorted(door.channels.values()) == [1, 2]
            assert len(door.connections) == 1

    run(scenario)


def test_a_connection_that_ends_is_made_again_and_nobody_is_gone() -> None:
    """The link is stale until another worker answers."""

    async def scenario() -> None:
        async with followed() as (door, source):
            await next_of(source, WorkerJoined)
            await door.drop()
            changes = []
            while (event := await next_of(source, LinkChanged)).link != "stale":
                changes.append(event.link)
            assert changes == ["live"]
            await next_of(source, WorkerJoined)
            assert (await next_of(source, LinkChanged)).link == "live"
            assert source.phase(worker(7).id) == "live"

    run(scenario)


def test_a_door_that_says_nothing_any_more_is_knocked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop of the worker that answers may be held: another one may open."""
    monkeypatch.setattr(door_module, "QUIET_S", 0.2)

    async def scenario() -> None:
        async with followed() as (door, _):
            await door.until(lambda: len(door.connections) >= 3)

    run(scenario)


def test_a_door_that_falls_silent_over_what_it_was_asked_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To look at all objects takes an agent seconds, and its worker may be the one that answers."""

    async def scenario() -> None:
        async with followed() as (door, source):
            await next_of(source, WorkerJoined)
            asking = asyncio.create_task(source.ask(worker(7).id, DumpRequest(id="d"), 30.0))
            await door.until(lambda: door.carried > 0)
            monkeypatch.setattr(door_module, "QUIET_S", 0.1)
            await door.say(door.there)
            await asyncio.sleep(0.5)
            assert len(door.connections) == 1
            await door.give(worker(7), Refusal(id="d", reason="not now", advice="later"))
            answer = await asking
            assert isinstance(answer, Refusal)
            assert answer.reason == "not now"
            await door.until(lambda: len(door.connections) > 1)

    run(scenario)


def test_a_worker_of_which_the_door_says_nothing_any_more_is_gone_and_leaves_its_last_words() -> None:
    """What it could not send is asked for; its siblings go on."""

    async def scenario() -> None:
        async with followed() as (door, source):
            door.there = roster(worker(7), worker(8))
            await door.say(door.there)
            await door.give(worker(8), frame(5))
            await next_of(source, FrameReceived)
            door.there = roster(worker(7))
            await door.say(Closed(channel=door.channels[worker(8).id], reason="its socket was closed"))
            await door.say(door.there)
            assert (await next_of(source, WorkerGone)).worker == worker(8).id
            await door.until(lambda: any(each.worker for each in questions(door)))
            asked = next(each for each in questions(door) if each.worker)
            assert (asked.worker, asked.after_seq) == (worker(8).id, 5)
            await door.say(Remains(id=asked.id, frame=frame(6)))
            await door.say(Remains(id=asked.id, more=False))
            assert [each.seq for each in (await next_of(source, HistoryReceived)).frames] == [6]

    run(scenario)


def test_workers_of_another_host_make_nobody_gone() -> None:
    """A connection that is made again may reach another one, behind a load balancer."""

    async def scenario() -> None:
        async with followed() as (door, source):
            await next_of(source, WorkerJoined)
            door.there = roster(worker(9, place="2"))
            await door.drop()
            assert (await next_of(source, WorkerFound)).identity.pid == 9
            for _ in range(3):
                await door.say(door.there)
                await asyncio.sleep(0.3)
            assert source.phase(worker(7).id) != "gone"

    run(scenario)


def test_what_the_dead_have_kept_is_asked_for() -> None:
    """As it is read from the disk of this host."""

    async def scenario() -> None:
        async with followed() as (door, source):
            await door.until(lambda: bool(questions(door)))
            kept = Evidence(id="e", kind="worker-silent", at=T)
            asked = questions(door)[0]
            await door.say(Remains(id=asked.id, worker=worker(3), evidence=[kept]))
            await door.say(Remains(id=asked.id, more=False))
            told = await next_of(source, EvidenceKept)
            assert (told.worker, told.evidence) == (worker(3).id, (kept,))

    run(scenario)


def test_a_worker_behind_a_door_answers_what_it_is_asked() -> None:
    """By its own channel; one that ends leaves no question open."""

    async def scenario() -> None:
        async with followed() as (door, source):
            await next_of(source, WorkerJoined)
            asking = asyncio.ensure_future(source.ask(worker(7).id, DumpRequest(id="a"), 10))
            await door.give(worker(7), Refusal(id="a", reason="not today"))
            answer = await asking
            assert isinstance(answer, Refusal)
            assert answer.reason == "not today"
            asking = asyncio.ensure_future(source.ask(worker(7).id, DumpRequest(id="b"), 10))
            await asyncio.sleep(0)
            await door.drop()
            with pytest.raises(NotAnsweredError):
                await asking

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((404, {}, b"no such page"), "nothing answers here, or the token is wrong"),
        ((403, {}, b""), "nothing answers here, or the token is wrong"),
        ((502, {}, b""), r"nothing answers here, or the token is wrong: .* \(HTTP 502\)"),
        (
            (308, {"Location": "https://elsewhere.example/_perftui"}, b""),
            "sends elsewhere: https://elsewhere",
        ),
        (
            (426, {}, b"perftui: this server takes no WebSockets"),
            "the token is right, and the server takes no",
        ),
        ((426, {}, b"upgrade"), "nothing answers here, or the token is wrong"),
    ],
)
def test_a_door_that_does_not_open_is_told_in_a_sentence(
    answer: tuple[int, dict[str, str], bytes], problem: str
) -> None:
    """A wrong token and no perftui at all are one: nobody could tell them apart."""

    async def scenario() -> None:
        async with fake_door() as door:
            door.answer = answer
            with pytest.raises(TargetError, match=problem) as raised:
                await reachable([door.target])
            assert raised.value.advice
            assert TOKEN not in str(raised.value)
            assert door.tokens == [f"Bearer {TOKEN}"]

    run(scenario)


def test_where_nobody_listens_or_something_else_does_it_is_told() -> None:
    """One line each, and what to try."""

    async def scenario() -> None:
        async with fake_door() as door:
            plain = door.target
            other = RemoteTarget(plain.url.replace("http", "https"), plain.host, plain.port)
            with pytest.raises(TargetError, match=r"does not speak TLS|hangs up before it answers"):
                await reachable([other])
        with pytest.raises(TargetError, match=f"nothing listens at 127.0.0.1:{plain.port}"):
            await reachable([plain])

    run(scenario)


def test_a_certificate_is_held_against_what_the_system_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of an unknown authority is refused; `SSL_CERT_FILE` names one more."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def scenario() -> None:
        async with fake_door(tls=context) as door:
            with pytest.raises(TargetError, match="is not trusted here") as raised:
                await reachable([door.target])
            assert "SSL_CERT_FILE" in raised.value.advice
            assert door.tokens == []
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            assert await reachable([door.target]) == (door.target,)

    run(scenario)


@pytest.mark.parametrize("given", ["", "short", "with a blank in it", "sechzehn-und-mehr-ü"])
def test_what_can_be_no_token_is_refused_before_anybody_is_asked(given: str) -> None:
    """It is not shown."""
    with pytest.raises(TargetError) as raised:
        usable(RemoteTarget("https://shop.example", "shop.example", 443), given)
    assert not given or given not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "host", "overheard"),
    [
        ("http://shop.example", "shop.example", True),
        ("https://shop.example", "shop.example", False),
        ("http://localhost:8000", "localhost", False),
        ("http://127.0.0.1:8000", "127.0.0.1", False),
        ("HTTP://10.0.0.7", "10.0.0.7", True),
    ],
)
def test_promise_17_plain_http_to_another_host_can_be_overheard(url: str, host: str, overheard: bool) -> None:
    """What stays on this host can't."""
    assert is_overheard(RemoteTarget(url, host, 80)) == overheard
