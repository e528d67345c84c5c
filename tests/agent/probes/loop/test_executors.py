"""Jobs in thread pools are done for the request that gave them, and are otherwise what they were."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import pickle
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from perftui_agent.guard import Guard
from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.loop.executors import ExecutorProbe
from perftui_agent.probes.probe import ON
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from perftui_agent.records import RequestRecord, current_request
from perftui_agent.whose import request_now
from perftui_agent.wire.frames import Frame
from perftui_agent.work import WorkRecord
from tests.support.requests import begin, end
from tests.support.timed import timed


@pytest.fixture
def probe() -> Iterator[ExecutorProbe]:
    """The probe, attached."""
    probe = ExecutorProbe(the_agent().own.window, Guard())
    assert probe.attach() == ON
    yield probe
    probe.detach()


@pytest.fixture
def request_here() -> Iterator[RequestRecord]:
    """A request that is current in the test."""
    record = begin()
    token = current_request.set(record)
    yield record
    current_request.reset(token)


def test_statements_of_jobs_are_their_routes(probe: ExecutorProbe) -> None:
    """By the loop's own pool, one of the app's, and from a sync endpoint: repetition is seen in all."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    pool = ThreadPoolExecutor(1)

    def work(number: int) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT :n"), {"n": number}).all()

    async def default(_request: Request) -> PlainTextResponse:
        loop = asyncio.get_running_loop()
        for number in range(10):
            await loop.run_in_executor(None, work, number)
        return PlainTextResponse("ok")

    async def own(_request: Request) -> PlainTextResponse:
        loop = asyncio.get_running_loop()
        for number in range(10):
            await loop.run_in_executor(pool, work, number)
        return PlainTextResponse("ok")

    def sync(_request: Request) -> PlainTextResponse:
        list(pool.map(work, range(10)))
        return PlainTextResponse("ok")

    async def nothing(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    routes = [Route(f"/{each.__name__}", each) for each in (default, own, sync, nothing)]
    with timed(Starlette(routes=routes)) as service:
        sql = SqlAlchemyProbe(the_agent().own.window, Guard(), 100)
        assert sql.attach() == ON
        for path in ("/default", "/own", "/sync", "/nothing"):
            service.get(path)
        sql.detach()
        service.window.fold_pending()
        frame: Frame = service.window.close(seq=1, ended_at_ns=0, span_ns=1)
    pool.shutdown()
    engine.dispose()
    (statement,) = frame.statements
    assert statement.routes == {"GET /default": 10, "GET /own": 10, "GET /sync": 10}
    executed = {
        route.route: (route.sql_count, [one.executions for one in route.repeats]) for route in frame.routes
    }
    assert executed == {
        "GET /default": (10, [10]),
        "GET /own": (10, [10]),
        "GET /sync": (10, [10]),
        "GET /nothing": (0, []),
    }


def test_a_thread_keeps_nothing_of_a_request(probe: ExecutorProbe, request_here: RequestRecord) -> None:
    """The next job of the same thread is that of whoever gives it, or nobody's."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(request_now).result() is request_here
        current_request.set(None)
        assert pool.submit(request_now).result() is None
        current_request.set(request_here)


def test_a_job_that_outlives_its_request_is_work_of_its_own(
    probe: ExecutorProbe, request_here: RequestRecord
) -> None:
    """What it does once the request has left is not the request's, nor is a job that begins only then."""
    left = threading.Event()

    def job() -> tuple[RequestRecord | None, RequestRecord | None]:
        within = request_now()
        left.wait(5)
        return within, request_now()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(job)
        while not future.running():
            pass
        asked = pool.submit(request_now)
        end(request_here)
        request_here.left_ns = request_here.ended_ns
        left.set()
        within, afterwards = future.result()
        assert within is request_here
        assert isinstance(afterwards, WorkRecord)
        assert isinstance(asked.result(), WorkRecord)
        assert asked.result() is not afterwards


@pytest.mark.parametrize(("after_ms", "rows"), [(0, 0), (20, 1)])
def test_a_job_that_ends_just_after_its_answer_outlives_nothing(
    probe: ExecutorProbe, request_here: RequestRecord, after_ms: int, rows: int
) -> None:
    """As the thread in which an app of WSGI is served: it tidies up when the last byte is sent."""

    def answer() -> None:
        request_here.route = "GET /"
        request_here.ended_ns = request_here.left_ns = time.perf_counter_ns()
        if after_ms:
            time.sleep(after_ms / 1000)

    with timed(Starlette()) as service, ThreadPoolExecutor(1) as pool:
        pool.submit(answer).result()
        assert len(service.seen.last.background) == rows


def test_jobs_are_what_they_were(probe: ExecutorProbe, request_here: RequestRecord) -> None:
    """Arguments, results, exceptions and the other context variables are those without the agent."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")
    variable.set("of the request")

    def fails(*args: Any, fn: int) -> None:
        raise LookupError(args, fn)

    with ThreadPoolExecutor(1, initializer=lambda: None) as pool:
        assert pool.submit(lambda *args, **kwargs: (args, kwargs), 1, self=2, fn=3).result() == (
            (1,),
            {"self": 2, "fn": 3},
        )
        assert pool.submit(variable.get).result() == "default"
        error = pool.submit(fails, 1, fn=2).exception()
        assert (type(error), error.args if error else ()) == (LookupError, ((1,), 2))
        assert error is not None
        assert error.__cause__ is error.__context__ is None
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(print)


def test_it_leaves_nothing_behind() -> None:
    """Attached it looks like the original, detached the original is there."""
    original = ThreadPoolExecutor.submit
    probe = ExecutorProbe(the_agent().own.window, Guard())
    assert probe.attach() == probe.attach() == ON
    assert ThreadPoolExecutor.submit is not original
    assert inspect.signature(ThreadPoolExecutor.submit) == inspect.signature(original)
    probe.detach()
    assert ThreadPoolExecutor.submit is original
    assert "submit" in vars(ProcessPoolExecutor)
    assert pickle.loads(pickle.dumps(ThreadPoolExecutor)) is ThreadPoolExecutor


def test_jobs_for_other_interpreters_are_not_wrapped(
    probe: ExecutorProbe, request_here: RequestRecord
) -> None:
    """Their pool pickles what it is given."""

    class InterpreterPoolExecutor(ThreadPoolExecutor):
        pass

    with InterpreterPoolExecutor(1) as pool:
        assert pool.submit(request_now).result() is None
