"""`perftui mcp` as an assistant meets it: the protocol's own client, over stdio."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from perftui.model.events import SourceEvent
from perftui.present.documents.snapshot import json_schema
from tests.support.fake_agent import fake_agent
from tests.support.frames import T, frame, joined, received, route, worker
from tests.support.recordings import record
from tests.support.servers import private_dir


@pytest.fixture
def directory() -> Iterator[Path]:
    path = private_dir()
    yield path
    shutil.rmtree(path)


def told(result: CallToolResult) -> Any:
    assert not result.is_error, result.content
    return result.structured_content


async def scenario(directory: Path) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "perftui", "mcp", "8000"],
        env=os.environ | {"PERFTUI_RUNTIME_DIR": str(directory)},
    )
    async with fake_agent(directory) as agent, Client(server) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"state", "findings", "routes", "statements", "compare"} == set(tools)
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())

        routes = [route("GET /orders", [20.0] * 20), route("GET /pay", [4.0] * 5)]
        await agent.send(frame(1, time.time(), routes))
        state = told(await client.call_tool("state", {}))
        async with asyncio.timeout(10):
            while not state["totals"]["requests"]:
                state = told(await client.call_tool("state", {}))
        assert (state["totals"]["requests"], state["routes"]) == (25, 2)
        assert [row["state"] for row in state["workers"]] == ["ok"]

        rows = told(await client.call_tool("routes", {"limit": 1}))
        assert ([row["route"] for row in rows["routes"]], rows["of"]) == (["GET /orders"], 2)
        row_schema = json_schema()["$defs"]["RouteDocument"]
        jsonschema.validate(rows["routes"][0], {**row_schema, "$defs": json_schema()["$defs"]})

        chosen = told(await client.call_tool("routes", {"rows": "route:/pay"}))
        assert [row["route"] for row in chosen["routes"]] == ["GET /pay"]
        assert told(await client.call_tool("findings", {}))["findings"] == []
        assert told(await client.call_tool("statements", {}))["statements"] == []

        unknown = await client.call_tool("compare", {"ago_s": 300})
        assert unknown.is_error
        assert "nothing is known" in str(unknown.content)

        wrong = await client.call_tool("routes", {"rows": "p95>soon"})
        assert wrong.is_error
        assert "p95>soon" in str(wrong.content)


def test_an_assistant_is_told_what_the_snapshot_tells(directory: Path) -> None:
    """State, routes, statements and findings, as the document has them; read-only, all of it."""

    async def bounded() -> None:
        async with asyncio.timeout(40):
            await scenario(directory)

    asyncio.run(bounded())


def test_an_assistant_is_told_of_a_recording_at_any_of_its_moments(tmp_path: Path) -> None:
    """Its end is now; what was before is asked for by how long before that it was."""

    def events() -> Iterator[SourceEvent]:
        yield joined(worker(1))
        for second in range(1, 1001):
            slow = [900.0 if 60 < second <= 120 else 9.0] * 5
            yield received(worker(1), frame(second, T + second, [route("GET /orders", slow)]))

    path = record(tmp_path / "night.perftui", events())

    async def asked() -> None:
        server = StdioServerParameters(command=sys.executable, args=["-m", "perftui", "mcp", str(path)])
        async with asyncio.timeout(60), Client(server) as client:
            now = told(await client.call_tool("state", {}))
            assert (now["at"][:19], now["totals"]["requests"]) == ("2023-11-14T22:30:40", 300)
            then = told(await client.call_tool("routes", {"ended_ago_s": 880}))["routes"]
            assert [row["p50_ms"] for row in then] == [pytest.approx(900, rel=0.02)]
            changed = {"ended_ago_s": 880, "ago_s": 60}
            assert [row["verdict"] for row in told(await client.call_tool("compare", changed))["routes"]] == [
                "worse"
            ]
            before = await client.call_tool("findings", {"ended_ago_s": 3600})
            assert before.is_error
            assert "of 3600 s ago nothing is known: 1000 s are" in str(before.content)

    asyncio.run(asked())
