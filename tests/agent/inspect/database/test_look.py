"""What a worker answers who asks for its databases: each once, in bounds, and why where there is nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from perftui_agent.engines import MOST, Engines
from perftui_agent.inspect.database.look import Databases, take_database
from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.inspect.inspector import Inspector
from perftui_agent.probes.sql.databases import database_of
from perftui_agent.window.shapes import ShapeTable
from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.database import Database, DatabaseRequest, HeldConnection
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.messages import ActionResult
from tests.support.databases import Database as ADatabase
from tests.support.servers import wait_until

HELD = HeldConnection(database="shop.db", route="GET /", held=True)


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    """Two engines for one file, and one for a database in memory."""
    ADatabase(f"sqlite:///{tmp_path}/shop.db").fill()
    engines = Engines()
    kept = [create_engine(url) for url in (f"sqlite:///{tmp_path}/shop.db",) * 2] + [
        create_engine("sqlite://")
    ]
    for name, engine in zip(("shop.db", "shop.db #2", ":memory:"), kept, strict=True):
        engines.add(name, engine)
    engines.kept = kept  # type: ignore[attr-defined]
    return engines


def databases(engines: Engines) -> Databases:
    return Databases(
        engines,
        OwnConnections(engines),
        lambda: [HELD],
        ShapeTable().told,
        lambda _: [],
        database_of,
    )


def taken(engines: Engines, request: DatabaseRequest) -> Database:
    return asyncio.run(take_database(request, 7, databases=databases(engines), why="a test"))


def test_each_database_once(engines: Engines) -> None:
    """Of two engines for one file one is asked; what can't be asked says why; it travels as it is."""
    answer = taken(engines, DatabaseRequest(id="a"))
    assert answer.engines == {"shop.db": "shop.db", ":memory:": ":memory:"}
    shop, memory = answer.looks
    assert (shop.kind, shop.refused, shop.sqlite is not None) == ("sqlite", "", True)
    assert "lives in the memory" in memory.refused
    assert (answer.pid, answer.held) == (7, [HELD])
    assert decode_from_agent(encode(answer)) == answer


def test_without_a_look(engines: Engines) -> None:
    """Only whose sessions are whose: no connection is made."""
    answer = taken(engines, DatabaseRequest(id="a", look=False))
    assert (answer.looks, answer.held) == ([], [HELD])


def test_only_those_that_are_wanted(engines: Engines) -> None:
    """By the names that the agent gave out; others are nobody's."""
    answer = taken(engines, DatabaseRequest(id="a", engines=[":memory:", "sqlite:////etc/passwd"]))
    assert [each.engine for each in answer.looks] == [":memory:"]


def test_the_road_of_all_actions(engines: Engines, caplog: pytest.LogCaptureFixture) -> None:
    """It is refused where actions are off and for other processes, and is on record with who asked."""

    def asked(
        request: DatabaseRequest, *, allowed: bool = True, known: bool = True
    ) -> ActionResult | Refusal:
        inspector = Inspector(
            os.getpid(),
            actions_allowed=allowed,
            registrations=list,
            databases=databases(engines) if known else None,
        )
        return asyncio.run(inspector.act(request, peer="uid 1000"))

    request = DatabaseRequest(id="a", engines=["shop.db"])
    with caplog.at_level(logging.INFO, "perftui.audit"):
        assert isinstance(asked(request), Database)
        wait_until(lambda: len(caplog.messages) >= 2, "two lines", lambda: caplog.text)
    lines = {line.rpartition(" (")[0].partition(" (")[0] for line in caplog.messages}
    assert lines == {
        "a connection of perftui's own to shop.db for uid 1000: done",
        f"database view of pid {os.getpid()} for uid 1000: done",
    }
    off = asked(request, allowed=False)
    assert isinstance(off, Refusal)
    assert "switched off" in off.reason
    other = asked(DatabaseRequest(id="a", pid=1))
    assert isinstance(other, Refusal)
    assert isinstance(asked(request, known=False), Refusal)


def test_engines_are_bounded_and_known_weakly() -> None:
    """An app that makes one for each request is not remembered for it."""
    engines = Engines()
    kept = [create_engine("sqlite://") for _ in range(MOST)]
    for number, engine in enumerate(kept):
        engines.add(str(number), engine)
    late = create_engine("sqlite://")
    engines.add("late", late)
    assert engines.get("late") is None
    assert len(engines.all()) == MOST
    kept.clear()
    del engine
    gc.collect()
    engines.add("late", late)
    assert engines.all() == {"late": late}
