"""Jobs of arq that run in this process, by modules shaped as arq's are: it asks for an older redis-py."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from perftui_agent.guard import Guard
from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.probe import NOT_IMPORTED, ON
from perftui_agent.probes.work.arq import ArqProbe
from perftui_agent.whose import request_now
from perftui_agent.work import WorkRecord
from tests.support.timed import http_scope, timed

seen: list[object] = []


async def mail(_ctx: Any) -> None:
    await asyncio.sleep(0.02)
    seen.append(request_now())


async def breaks(_ctx: Any) -> None:
    raise LookupError("gone")


class ArqRedis:
    """Takes jobs in."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, str]] = []

    async def enqueue_job(self, function: str, *_args: Any, **_options: Any) -> Any:
        job_id = f"job {len(self.waiting)}"
        self.waiting.append((job_id, function))
        return SimpleNamespace(job_id=job_id)


class Worker:
    """Runs them, and counts those that fail."""

    def __init__(self, redis: ArqRedis) -> None:
        self.functions = {each.__name__: SimpleNamespace(coroutine=each) for each in (mail, breaks)}
        self.jobs_failed = 0
        self._redis = redis

    async def run_job(self, job_id: str, _score: int) -> None:
        try:
            await self.functions[dict(self._redis.waiting)[job_id]].coroutine({})
        except LookupError:
            self.jobs_failed += 1


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArqProbe]:
    """The probe, attached."""
    guard = Guard()
    probe = ArqProbe(the_agent().own.window, guard)
    assert probe.attach() == NOT_IMPORTED
    for name, kind in (("connections", ArqRedis), ("worker", Worker)):
        module = ModuleType(f"arq.{name}")
        setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, f"arq.{name}", module)
    assert probe.attach() == probe.attach() == ON
    yield probe
    probe.detach()
    assert guard.faults == {}


def test_jobs_are_told_by_function_and_are_their_routes(probe: ArqProbe) -> None:
    """As work of its own after the response, with how long each waited for its turn."""
    redis = ArqRedis()

    async def endpoint(_request: Any) -> PlainTextResponse:
        for function in ("mail", "breaks"):
            await redis.enqueue_job(function)
        return PlainTextResponse("ok")

    async def served() -> None:
        await service._call(http_scope(), [{"type": "http.request"}])
        worker = Worker(redis)
        for job_id, _ in redis.waiting:
            await worker.run_job(job_id, 0)
        await worker.run_job(redis.waiting[0][0], 0)  # again: nobody here has handed it over

    seen.clear()
    with timed(Starlette(routes=[Route("/", endpoint)])) as service:
        asyncio.run(served())
        frame = service.seen.last
    told = {(row.name.split()[-1], row.route): row for row in frame.background}
    assert {key: (row.kind, row.latency.count, row.errors) for key, row in told.items()} == {
        ("mail", "GET /"): ("arq", 1, 0),
        ("breaks", "GET /"): ("arq", 1, 1),
        ("elsewhere", ""): ("arq", 1, 0),
    }
    assert told["mail", "GET /"].wait is not None
    assert [type(each) for each in seen] == [WorkRecord, WorkRecord]


def test_a_job_may_have_arguments_of_any_name(probe: ArqProbe) -> None:
    """Those that the agent has for its own among them."""
    redis = ArqRedis()
    asyncio.run(redis.enqueue_job("mail", redis="a value of the job's"))
    assert redis.waiting == [("job 0", "mail")]


def test_of_jobs_side_by_side_none_is_said_to_have_failed(probe: ArqProbe) -> None:
    """Which it was, arq does not tell."""
    redis = ArqRedis()

    async def served() -> None:
        for function in ("mail", "breaks"):
            await redis.enqueue_job(function)
        worker = Worker(redis)
        await asyncio.gather(*(worker.run_job(job_id, 0) for job_id, _ in redis.waiting))

    async def nothing(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    with timed(Starlette(routes=[Route("/", nothing)])) as service:
        asyncio.run(served())
        assert [row.errors for row in service.seen.last.background] == [0]


def test_it_leaves_nothing_behind() -> None:
    """Detached, the originals are there."""
    assert "enqueue_job" in vars(ArqRedis)
    assert not hasattr(ArqRedis.enqueue_job, "__wrapped__")
    assert not hasattr(Worker.run_job, "__wrapped__")
