"""How long it takes to make bytes of what endpoints return."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
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


def new_app() -> FastAPI:
    app = FastAPI()

    @app.get("/model")
    async def model() -> list[Item]:
        return [Item(number=number) for number in range(100)]

    @app.get("/plain")
    async def plain():  # type: ignore[no-untyped-def] # without a type, FastAPI goes another way
        return {"a": list(range(100))}

    @app.get("/finished")
    async def finished() -> JSONResponse:
        return JSONResponse({"a": 1})

    @app.get("/wrong", response_model=Item)
    async def wrong() -> Any:
        return {"number": "none"}

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


def test_any_signature_is_passed_on(probe: SerializationProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FastAPI whose function takes other arguments gets them all, and is timed."""
    original = fastapi.routing.serialize_response

    async def another(*args: Any, **kwargs: Any) -> Any:
        return await original(*args, **kwargs)

    monkeypatch.setattr(fastapi.routing, "serialize_response", another)
    probe.attach()
    record, body = asked("/model")
    assert record.serialize_ns > 0
    assert body.startswith(b'[{"number":0}')
    probe.detach()
    assert fastapi.routing.serialize_response is another


def test_detaching_leaves_fastapi_as_it_was(probe: SerializationProbe) -> None:
    """The module and the class have their own again."""
    before = (fastapi.routing.serialize_response, starlette.responses.JSONResponse.render)
    probe.attach()
    assert fastapi.routing.serialize_response is not before[0]
    probe.detach()
    assert (fastapi.routing.serialize_response, starlette.responses.JSONResponse.render) == before


def test_who_wrapped_us_is_left_in_place(probe: SerializationProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another instrument that came later keeps its place when ours goes."""
    probe.attach()

    async def theirs(*args: Any, **kwargs: Any) -> Any: ...

    monkeypatch.setattr(fastapi.routing, "serialize_response", theirs)
    probe.detach()
    assert fastapi.routing.serialize_response is theirs


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
