"""What grows in this process, between two moments."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from perftui_agent.inspect import memory as module
from perftui_agent.inspect.memory import Endpoint, take_memory
from perftui_agent.wire.actions import Memory, MemoryRequest, Progress
from perftui_agent.wire.dumps import Refusal
from tests.agent.inspect.processes import on_agent_thread

KEPT: list[object] = []


class Cart:
    """Something that an app keeps too many of."""


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    KEPT.clear()
    assert not tracemalloc.is_tracing()


def leak() -> None:
    KEPT.append(bytearray(100_000))
    KEPT.extend(Cart() for _ in range(50))


def endpoint() -> None:
    leak()


def endpoints() -> list[Endpoint]:
    first = endpoint.__code__.co_firstlineno
    return [Endpoint(__file__, first, first + 1, "GET /leak")]


def watched(
    for_s: float = 1.0,
    *,
    work: Callable[[], None] = endpoint,
    told: list[Progress] | None = None,
    after_s: float | None = None,
    pid: int | None = None,
) -> Memory | Refusal:
    """Return what grows while `work` is done again and again."""
    heard = told if told is not None else []

    async def tell(progress: Progress) -> None:
        heard.append(progress)

    async def take() -> Memory | Refusal:
        finish = asyncio.Event()
        if after_s is not None:
            asyncio.get_running_loop().call_later(after_s, finish.set)

        async def busy() -> None:
            while True:
                work()
                await asyncio.sleep(0.02)

        worker = asyncio.ensure_future(busy())
        try:
            request = MemoryRequest(id="m", for_s=for_s)
            return await take_memory(
                request, pid or os.getpid(), endpoints=endpoints, tell=tell, finish=finish
            )
        finally:
            worker.cancel()

    return on_agent_thread(take)


def test_a_leak_is_named_by_its_line_and_route() -> None:
    """The line that asked for what is kept comes first, with the route it worked for, and the type grows."""
    heard: list[Progress] = []
    memory = watched(told=heard)
    assert isinstance(memory, Memory), memory
    first = memory.lines[0]
    assert first.file == __file__
    assert first.line == leak.__code__.co_firstlineno + 1
    assert first.grew_bytes >= 100_000 * 5
    assert first.routes["GET /leak"] >= 0.9 * first.grew_bytes
    assert any(each.type.endswith("test_memory.Cart") and each.grew >= 100 for each in memory.types)
    assert memory.rss_after is not None
    assert heard
    assert heard[-1].text.endswith("MB since the start")


def test_what_is_let_go_of_is_no_growth() -> None:
    """A line that makes much and keeps nothing is not told of."""

    def wasteful() -> None:
        bytearray(1_000_000)

    memory = watched(work=wasteful)
    assert isinstance(memory, Memory)
    assert not any(line.file == __file__ and line.grew_bytes > 500_000 for line in memory.lines)


def test_it_ends_early_with_what_there_is() -> None:
    """Who does not want to wait gets what grew until then."""
    memory = watched(60.0, after_s=0.6)
    assert isinstance(memory, Memory)
    assert memory.took_ns < 20e9


def test_it_ends_when_the_tracing_itself_takes_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own memory is bounded: it says that it ended for that."""
    monkeypatch.setattr(module, "MOST_OWN_BYTES", 1)
    memory = watched(60.0)
    assert isinstance(memory, Memory)
    assert memory.note.startswith("ended early: the tracing itself had taken")


def test_cancelled_it_is_switched_off() -> None:
    """A client that hangs up leaves no tracing behind."""

    async def cancelled() -> None:
        async def tell(progress: Progress) -> None:
            pass

        work = asyncio.ensure_future(
            take_memory(
                MemoryRequest(id="m", for_s=60.0),
                os.getpid(),
                endpoints=endpoints,
                tell=tell,
                finish=asyncio.Event(),
            )
        )
        await asyncio.sleep(0.1)
        assert tracemalloc.is_tracing()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    on_agent_thread(cancelled)


def test_another_process_tells_of_itself_alone() -> None:
    """A sibling's memory can't be told from here."""
    refusal = watched(pid=1)
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("only worker 1 itself")


def test_somebody_elses_tracing_is_left_alone() -> None:
    """Where the app uses tracemalloc itself, that goes on as it was."""
    tracemalloc.start()
    try:
        refusal = watched()
        assert isinstance(refusal, Refusal)
        assert tracemalloc.is_tracing()
        assert tracemalloc.get_traceback_limit() == 1
    finally:
        tracemalloc.stop()
