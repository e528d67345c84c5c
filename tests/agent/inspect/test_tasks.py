"""What tasks wait for, told from another thread, through every way in which libraries wait."""

from __future__ import annotations

import asyncio
import contextlib
import linecache
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from perftui_agent.inspect.serving import serving, told
from perftui_agent.inspect.tasks import TURN, Group, Tasks, waiting_tasks
from perftui_agent.records import RequestRecord
from tests.agent.inspect.processes import eventually

Scenario = Callable[[], Coroutine[Any, Any, Any]]


_KEPT: list[asyncio.Event] = []


def never() -> Coroutine[Any, Any, Any]:
    """Return what never comes; somebody knows of it, else it would be collected with who waits for it."""
    event = asyncio.Event()
    _KEPT.append(event)
    return event.wait()


class LoopInAThread:
    """A loop that somebody else looks at."""

    def __init__(self, uv: bool = False) -> None:
        self.loop: asyncio.AbstractEventLoop | None = (
            uvloop.new_event_loop() if uv else asyncio.new_event_loop()
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        assert self.loop is not None
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    @property
    def thread_id(self) -> int | None:
        return self._thread.ident

    def loop_waits(self, frame: FrameType) -> bool:
        return frame.f_code.co_name in ("select", "run_forever", "_run")

    def request_on_loop(self) -> RequestRecord | None:
        return None

    def route_of(self, record: RequestRecord) -> str:
        return record.route

    def start(self, scenario: Scenario) -> None:
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(scenario(), self.loop)

    def look(self) -> Tasks:
        tasks = asyncio.run(waiting_tasks(self))
        assert tasks is not None
        return tasks

    def end(self, last: Scenario | None = None) -> None:
        loop = self.loop
        assert loop is not None

        async def cancel_all() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=5) if others else None
            await last() if last is not None else None

        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(cancel_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(10)
        loop.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def app(request: pytest.FixtureRequest) -> Iterator[LoopInAThread]:
    """A loop of either kind."""
    loop = LoopInAThread(uv=request.param == "uvloop")
    yield loop
    loop.end()


def group_at(app: LoopInAThread, function: str) -> Group:
    """Return the tasks that wait in a function, as soon as they do."""

    def find() -> Group | None:
        groups = [group for group in app.look().groups if function in names(group) and not on_its_way(group)]
        return groups[0] if groups else None

    return eventually(find)  # type: ignore[return-value]


def on_its_way(group: Group) -> bool:
    return group.first.waits_for == TURN


def names(group: Group) -> list[str]:
    """Return the functions of a way in, outermost first, without where they are defined."""
    return [frame.f_code.co_qualname.rpartition("<locals>.")[2] for frame in group.first.frames]


def own_line(group: Group) -> str:
    """Return the line of the innermost code of the app's own."""
    own = group.first.own
    assert own is not None
    return linecache.getline(group.first.frames[own].f_code.co_filename, group.first.lines[own]).strip()


def test_alike_tasks_are_one_line_with_how_many_they_are(app: LoopInAThread) -> None:
    """By the way in from the app's own code: who called that is another matter."""
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def take() -> int:
        return await queue.get()

    async def called_by_a_server() -> None:
        await asyncio.gather(*(take() for _ in range(8)))

    app.start(called_by_a_server)
    group = group_at(app, "take")
    eventually(lambda: group_at(app, "take").count == 8)
    assert (names(group)[-2:], group.first.waits_for) == (["take", "Queue.get"], "Queue.get")
    assert own_line(group) == "return await queue.get()"
    waits = group_at(app, "called_by_a_server")
    assert waits.first.waits_for == "8 of 8 tasks"
    assert [(place.rpartition(".")[2], count) for place, count in waits.awaits.items()] == [("take", 8)]


def test_the_way_goes_on_through_async_with_and_async_generators(app: LoopInAThread) -> None:
    """Through `__aenter__` of a class and of a generator, `async for`, `asend`, and `__await__`."""
    lock = asyncio.Lock()

    class Opens:
        async def __aenter__(self) -> None:
            async with opened_by_a_generator():
                pass

        async def __aexit__(self, *_: object) -> None:
            pass

    @contextlib.asynccontextmanager
    async def opened_by_a_generator() -> AsyncIterator[None]:
        async for _ in numbers():
            yield

    async def numbers() -> AsyncGenerator[int, int]:
        await generator_that_is_sent_to().asend(None)  # type: ignore[arg-type]
        yield 1

    async def generator_that_is_sent_to() -> AsyncGenerator[int, int]:
        await Awaitable()
        yield 1

    class Awaitable:
        def __await__(self) -> Any:
            return innermost().__await__()

    async def innermost() -> None:
        async with lock:
            pass

    async def uses_it() -> None:
        await lock.acquire()
        async with Opens():
            pass

    app.start(uses_it)
    group = group_at(app, "innermost")
    own = [name for name in names(group) if "Context" not in name]
    assert own == [
        "uses_it",
        "Opens.__aenter__",
        "opened_by_a_generator",
        "numbers",
        "generator_that_is_sent_to",
        "innermost",
        "Lock.__aenter__" if "Lock.__aenter__" in own else "Lock.acquire",
        *(["Lock.acquire"] if "Lock.__aenter__" in own else []),
    ]
    assert group.first.waits_for == "Lock.acquire"


@pytest.mark.parametrize("kind", ["asyncio", "anyio", "shield", "wait", "wait_for", "a task"])
def test_who_waits_for_tasks_says_where_these_wait(app: LoopInAThread, kind: str) -> None:
    """A group's, one that is shielded, one with a time-out."""

    async def child() -> None:
        await never()

    async def parent() -> None:
        if kind == "asyncio":
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
        elif kind == "anyio":
            async with anyio.create_task_group() as nursery:
                nursery.start_soon(child)
        elif kind == "shield":
            await asyncio.shield(child())
        elif kind == "wait":
            await asyncio.wait([asyncio.ensure_future(child())])
        elif kind == "wait_for":
            await asyncio.wait_for(child(), 60)
        else:
            await asyncio.ensure_future(child())

    app.start(parent)
    group_at(app, "child")
    waits = group_at(app, "parent")
    if kind == "wait_for" and "child" in names(waits):
        assert waits.first.waits_for == "Event.wait"  # from Python 3.12 on it runs in the same task
        return
    assert [place.rpartition(".")[2] for place in waits.awaits] == ["child"]


def test_a_thread_that_is_waited_for_has_the_task_and_the_request(app: LoopInAThread) -> None:
    """Of a sync endpoint: its line is in the thread, and the task is the one that waits for it."""
    go = threading.Event()

    async def endpoint() -> None:
        await anyio.to_thread.run_sync(go.wait)

    app.start(endpoint)
    group = group_at(app, "endpoint")
    assert group.first.waits_for == "a thread"
    tasks = app.look()
    services = told(app, serving(app), tasks.of_thread)
    (service,) = (each for each in services.values() if each.task)
    assert service.task.endswith("endpoint")
    go.set()


def test_a_connection_that_is_waited_for_is_found_in_sqlalchemys_greenlet() -> None:
    """The app's own line, and the pool's beneath it, which no coroutine leads to."""
    app = LoopInAThread()
    engine = create_async_engine(
        "sqlite+aiosqlite://", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
    )

    async def list_orders() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            await never()

    async def many() -> None:
        await asyncio.gather(*(list_orders() for _ in range(3)))

    app.start(many)
    try:
        eventually(lambda: group_at(app, "QueuePool._do_get").count == 2)
        group = group_at(app, "QueuePool._do_get")
        assert own_line(group) == "async with engine.connect() as connection:"
        assert any("sqlalchemy/pool/" in frame.f_code.co_filename for frame in group.first.frames)
    finally:
        app.end(engine.dispose)


async def served(path: str) -> None:
    """Answer one request of an app that has Starlette's ways of waiting."""

    async def pass_on(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    async def slow(request: Request) -> PlainTextResponse:
        await never()
        return PlainTextResponse("")

    async def stream(request: Request) -> StreamingResponse:
        async def rows() -> AsyncIterator[bytes]:
            yield b"a"
            await never()

        return StreamingResponse(rows())

    app = Starlette(
        routes=[Route("/slow", slow), Route("/stream", stream)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)] * 2,
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        await client.get(path)


@pytest.mark.parametrize(("path", "function"), [("/slow", "slow"), ("/stream", "rows")])
def test_middleware_of_starlettes_is_told_with_what_it_waits_for(
    app: LoopInAThread, path: str, function: str
) -> None:
    """The endpoint runs in a task of its own, two layers down."""
    app.start(lambda: served(path))
    group = group_at(app, function)
    assert own_line(group) == "await never()"
    assert (group.first.waits_for, group.count) == ("Event.wait", 1)
    places = [place for each in app.look().groups for place in each.awaits]
    assert any(place.endswith(function) for place in places)


def test_what_could_go_on_waits_for_its_turn() -> None:
    """While somebody holds the loop, that is what all others wait for."""
    app = LoopInAThread()
    go, held = threading.Event(), threading.Event()

    async def others() -> None:
        await asyncio.sleep(0.01)

    async def holds() -> None:
        tasks = [asyncio.ensure_future(others()) for _ in range(3)]
        await asyncio.sleep(0)
        tasks += [asyncio.ensure_future(others()) for _ in range(2)]
        held.set()
        go.wait(30)
        await asyncio.wait(tasks)

    app.start(holds)
    held.wait(30)
    groups = {group.first.waits_for: group.count for group in app.look().groups}
    assert groups == {"sleep": 3, TURN: 2}
    current = told(app, serving(app), {})
    assert any(service.task.endswith("holds") for service in current.values())
    go.set()
    app.end()


def test_a_thousand_tasks_are_walked_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred in one go: between them the loop has the GIL."""
    app = LoopInAThread()
    rests: list[float] = []
    sleep = asyncio.sleep

    async def forever() -> None:
        await never()

    async def many() -> None:
        await asyncio.gather(*(forever() for _ in range(1000)))

    app.start(many)
    eventually(lambda: group_at(app, "forever").count == 1000)

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await sleep(0)

    monkeypatch.setattr("perftui_agent.inspect.tasks.asyncio.sleep", rest)
    tasks = app.look()
    assert (tasks.count, tasks.unseen, len(tasks.groups)) == (1001, 0, 2)
    assert len(rests) >= 5
    monkeypatch.undo()
    app.end()


def test_too_many_tasks_are_counted_and_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not seen is said."""
    app = LoopInAThread()

    async def forever() -> None:
        await never()

    async def many() -> None:
        await asyncio.gather(*(forever() for _ in range(20)))

    app.start(many)
    eventually(lambda: group_at(app, "forever").count == 20)
    monkeypatch.setattr("perftui_agent.inspect.tasks.MAX_TASKS", 5)
    tasks = app.look()
    assert (tasks.count, tasks.unseen) == (21, 16)
    app.end()
