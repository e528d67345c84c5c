"""How long it takes to make bytes of what endpoints return."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from time import perf_counter_ns
from typing import Any

import fastapi.routing
import pytest
import starlette.responses
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from perftui_agent.probes.http.serialization import SerializationProbe
from perftui_agent.probes.probe import NOT_IMPORTED, ON
from perftui_agent.records import RequestRecord, current_request
from tests.support.requests import begin


class Item(BaseModel):
    """Something to serialize."""

    number: int


class Dear:
    """Takes a while to be made JSON of; the bytes of that are quick."""

    def __iter__(self) -> Iterator[tuple[str, int]]:
        time.sleep(0.02)
        return iter([("number", 1)])


def new_app() -> FastAPI:
    app = FastAPI()

    @app.get("/model")
    async def model() -> list[Item]:
        return [Item(number=number) for number in range(100)]

    @app.get("/plain")
    async def plain():  # type: ignore[no-untyped-def] # without a type, FastAPI goes another way
        return {"a": list(range(100))}

    @app.get("/dear")
    async def dear():  # type: ignore[no-untyped-def] # as above
        return Dear()

    @app.get("/finished")
    async def finished() -> JSONResponse:
        return JSONResponse({"a": 1})

    @app.get("/wrong", response_model=Item)
    async def wrong() -> Any:
        return {"number": "none"}

    @app.exception_handler(fastapi.exceptions.ResponseValidationError)
    async def refuse(_request: Any, error: Exception) -> starlette.responses.Response:
        if "refused" not in str(error):
            raise error
        return starlette.responses.PlainTextResponse("refused")

    @app.get("/refused", response_model=Item)
    async def refused() -> Any:
        return {"number": "refused"}

    @app.get("/slow")
    async def slow(background: fastapi.BackgroundTasks) -> list[Item]:
        background.add_task(time.sleep, 0.02)
        await asyncio.sleep(0.02)
        return [Item(number=1)]

    @app.get("/file")
    async def file() -> starlette.responses.PlainTextResponse:
        return starlette.responses.PlainTextResponse("x")

    return app


@pytest.fixture
def probe() -> Iterator[SerializationProbe]:
    probe = SerializationProbe()
    yield probe
    probe.detach()


def asked(path: str) -> tuple[RequestRecord, bytes]:
    """Ask for `path` as a request of its own; return its record and the body."""
    record = begin()
    body: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        body.append(message.get("body", b""))

    async def call() -> None:
        current_request.set(record)
        scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
        await new_app()(scope, receive, send)

    asyncio.run(call())
    return record, b"".join(body)


@pytest.mark.parametrize("path", ["/model", "/plain", "/finished"])
def test_serializing_is_timed(probe: SerializationProbe, path: str) -> None:
    """With a response model, without one and for a finished JSON response, and the body is the same."""
    _, before = asked(path)
    assert probe.attach() == ON
    record, after = asked(path)
    assert record.serialize_started_ns > 0
    assert record.serialize_ns > 0
    assert after == before != b""


def test_what_comes_before_rendering_is_a_part_of_it(probe: SerializationProbe) -> None:
    """Without a response model, FastAPI makes something of JSON's kinds first: that is most of it."""
    probe.attach()
    record, body = asked("/dear")
    assert body == b'{"number":1}'
    assert record.serialize_ns >= 20_000_000


def test_what_is_no_json_takes_no_time(probe: SerializationProbe) -> None:
    """A text or a file is passed on as it is."""
    probe.attach()
    record, _ = asked("/file")
    assert record.serialize_ns == 0


def test_a_response_that_is_wrong_fails_as_before(probe: SerializationProbe) -> None:
    """FastAPI's own error comes through."""
    probe.attach()
    with pytest.raises(fastapi.exceptions.ResponseValidationError):
        asked("/wrong")


def test_what_fails_takes_no_time(probe: SerializationProbe) -> None:
    """What the app answers instead is no response of the endpoint's."""
    probe.attach()
    record, body = asked("/refused")
    assert (record.serialize_ns, body) == (0, b"refused")


def test_the_time_is_from_the_endpoint_to_its_response(probe: SerializationProbe) -> None:
    """Neither what the endpoint does before belongs to it, nor what comes after the response was made."""
    probe.attach()
    before_ns = perf_counter_ns()
    record, _ = asked("/slow")
    assert record.serialize_started_ns - before_ns >= 20_000_000
    assert record.serialize_started_ns + record.serialize_ns < perf_counter_ns() - 20_000_000


def test_another_fastapi_is_timed_by_its_serializing(
    probe: SerializationProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that asks in another way for a response's arguments has that wrapped, whatever it takes."""
    original = fastapi.routing.serialize_response
    arguments: Any = getattr(fastapi.routing, "_build_response_args", None)  # the oldest has none

    def others(*args: Any, **kwargs: Any) -> Any:
        return arguments(*args, **kwargs)

    async def another(*args: Any, **kwargs: Any) -> Any:
        return await original(*args, **kwargs)

    if arguments is not None:
        monkeypatch.setattr(fastapi.routing, "_build_response_args", others)
    monkeypatch.setattr(fastapi.routing, "serialize_response", another)
    probe.attach()
    assert getattr(fastapi.routing, "_build_response_args", others) is others
    record, body = asked("/model")
    assert record.serialize_ns > 0
    assert body.startswith(b'[{"number":0}')
    probe.detach()
    assert fastapi.routing.serialize_response is another


def test_detaching_leaves_fastapi_as_it_was(probe: SerializationProbe) -> None:
    """The module and the class have their own again."""
    owners = (fastapi.routing, starlette.responses.JSONResponse)
    before = [dict(vars(owner)) for owner in owners]
    probe.attach()
    assert [vars(owner) == was for owner, was in zip(owners, before, strict=True)] == [False, False]
    probe.detach()
    assert [dict(vars(owner)) for owner in owners] == before


def test_who_wrapped_us_is_left_in_place(probe: SerializationProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another instrument that came later keeps its place when ours goes."""
    response = starlette.responses.JSONResponse
    monkeypatch.setattr(response, "render", response.render)  # as it is to be afterwards
    probe.attach()

    def theirs(self: Any, content: Any) -> bytes:
        return b""

    response.render = theirs  # type: ignore[method-assign]
    probe.detach()
    assert response.render is theirs


def test_without_fastapi_there_is_nothing_to_time(
    probe: SerializationProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that has not imported FastAPI gets no import of ours."""
    monkeypatch.delitem(sys.modules, "fastapi.routing")
    assert probe.attach() == NOT_IMPORTED


def test_an_unknown_fastapi_is_left_alone(probe: SerializationProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that serializes otherwise turns the probe off, with the reason."""
    monkeypatch.delattr(fastapi.routing, "serialize_response")
    assert probe.attach() == "off: a FastAPI without serialize_response"
