"""Which apps of a process have a remote door."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from perftui_agent import instrument
from perftui_agent.instrumentation import the_agent

TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def shut() -> Iterator[None]:
    """The door belongs to the process."""
    yield
    instrument(unknown, token="")


async def unknown(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"unknown"})


def asked(app: Any, path: str = "/_perftui", token: str = TOKEN) -> bytes:
    """Return what `app` answers to a request."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
    }
    asyncio.run(app(scope, receive, send))
    return b"".join(message.get("body", b"") for message in sent)


def is_door(answer: bytes) -> bool:
    return answer != b"unknown" and json.loads(answer)["perftui"] == "the remote door"


def test_a_bare_app_has_one_with_a_token_and_without_none() -> None:
    """It is there from the moment a token is said, and gone with it."""
    app = instrument(unknown, token=TOKEN)
    assert is_door(asked(app))
    assert asked(app, token="0123456789abcdeg") == b"unknown"
    assert asked(app, path="/_perftui/more") == b"unknown"
    instrument(unknown, token="another token".replace(" ", "-") + "-0123")
    assert asked(app) == b"unknown"
    instrument(unknown, token="")
    assert asked(app) == b"unknown"


def test_a_mounted_app_has_one_of_its_own_below_its_prefix() -> None:
    """What mounts it has none, unless it is watched as well."""
    part = instrument(Starlette(), token=TOKEN)
    whole = Starlette(routes=[Mount("/part", part), Mount("/", unknown)])
    assert is_door(asked(whole, "/part/_perftui"))
    assert asked(whole, "/_perftui") == b"unknown"
    instrument(whole)
    assert is_door(asked(whole, "/_perftui"))


def test_a_copy_of_an_app_has_one() -> None:
    """As frameworks make them that send apps to other processes."""
    assert is_door(asked(copy.deepcopy(instrument(unknown, token=TOKEN))))


def test_a_fault_of_the_door_is_counted_and_the_app_answers() -> None:
    """As if there was no door."""
    app = instrument(unknown, token=TOKEN)
    door = the_agent().own.door
    guard = the_agent().own.guard
    before = guard.faults.get("serve.endpoint", 0)
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/_perftui", "headers": [None]}
    assert not door.opens_for(scope)
    assert guard.faults["serve.endpoint"] == before + 1
    assert is_door(asked(app))
