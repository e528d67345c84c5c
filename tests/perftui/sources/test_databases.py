"""One worker looks, all say which sessions are theirs, and who does not answer is named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from perftui.model.database import Databases
from perftui.sources.databases import take_databases
from perftui.sources.session import Phase
from perftui.sources.stream import NotAnsweredError
from perftui_agent.wire.database import (
    Database,
    DatabaseLook,
    DatabaseRequest,
    DatabaseSession,
    HeldConnection,
)
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.messages import ActionRequest
from perftui_agent.wire.parts import WorkerId
from perftui_agent.wire.registration import Registration
from tests.support.frames import worker

WORKERS = (worker(1), worker(2), worker(3))


@dataclass
class Made:
    """Three workers whose engines are what a test says; remembers who was asked to look at what."""

    engines: dict[int, dict[str, str]]
    refuses: dict[int, str] = field(default_factory=dict)
    silent: frozenset[int] = frozenset()
    unreachable: frozenset[int] = frozenset()
    """Those whose looks come to nothing."""
    looked: list[tuple[int, list[str]]] = field(default_factory=list)

    def phase(self, worker: WorkerId) -> Phase | None:
        pid = next(each.pid for each in WORKERS if each.id == worker)
        return "silent" if pid in self.silent else "live"

    def workers(self) -> Sequence[Registration]:
        return [Registration(wire=1, worker=each, socket="") for each in WORKERS]

    async def ask(
        self, worker: WorkerId, request: ActionRequest, timeout_s: float, *_: object
    ) -> Database | Refusal:
        pid = next(each.pid for each in WORKERS if each.id == worker)
        assert isinstance(request, DatabaseRequest)
        assert request.pid is None
        if pid in self.silent:
            raise NotAnsweredError(f"worker {pid} gave no answer")
        if pid in self.refuses:
            return Refusal(id=request.id, reason=self.refuses[pid])
        looks = []
        engines = self.engines.get(pid, {})
        if request.look:
            self.looked.append((pid, request.engines))
            looks = [
                DatabaseLook(
                    engine=name,
                    kind="postgresql",
                    database=database,
                    refused="nobody there" if pid in self.unreachable else "",
                    sessions=[DatabaseSession(pid=100 + each.pid, state="active") for each in WORKERS],
                )
                for name, database in engines.items()
                if not request.engines or name in request.engines
            ]
        held = [
            HeldConnection(database=database, session=100 + pid, route=f"GET /{pid}", held=True)
            for database in engines.values()
        ]
        return Database(
            id=request.id, pid=pid, taken_at=0, took_ns=0, engines=engines, held=held, looks=looks
        )


def take(made: Made) -> Databases:
    return asyncio.run(take_databases(made))


def routes(databases: Databases) -> list[str | None]:
    return [row.route for row in databases.views[0].sessions]


def test_one_looks_and_all_say_whose() -> None:
    """The database is asked once, however many workers there are."""
    made = Made({pid: {"shop": "db/shop"} for pid in (1, 2, 3)})
    databases = take(made)
    assert made.looked == [(1, [])]
    assert routes(databases) == ["GET /1", "GET /2", "GET /3"]
    assert (databases.answered, databases.known, dict(databases.refusals)) == (3, 3, {})


def test_what_only_another_worker_uses() -> None:
    """It is asked for by one that does, and nothing twice."""
    made = Made({1: {"shop": "db/shop"}, 2: {"shop": "db/shop", "log": "db/log"}, 3: {"log": "db/log"}})
    databases = take(made)
    assert made.looked == [(1, []), (2, ["log"])]
    assert [view.name for view in databases.views] == ["db/log", "db/shop"]


def test_a_worker_that_can_not_reach_it() -> None:
    """The next one is asked; what came of it counts."""
    made = Made({pid: {"shop": "db/shop"} for pid in (1, 2, 3)}, unreachable=frozenset({1}))
    databases = take(made)
    assert made.looked == [(1, []), (2, ["shop"])]
    assert [view.look.refused for view in databases.views] == [""]


def test_nobody_can_reach_it() -> None:
    """Then it is said why, once."""
    made = Made({pid: {"shop": "db/shop"} for pid in (1, 2, 3)}, unreachable=frozenset({1, 2, 3}))
    (view,) = take(made).views
    assert view.look.refused == "nobody there"


def test_a_silent_worker() -> None:
    """Its sessions are nobody's, and that is said; another one looks."""
    made = Made({pid: {"shop": "db/shop"} for pid in (1, 2, 3)}, silent=frozenset({1}))
    databases = take(made)
    assert made.looked == [(2, [])]
    assert routes(databases) == [None, "GET /2", "GET /3"]
    assert (databases.answered, databases.known) == (2, 3)
    assert list(databases.refusals) == [1]


def test_actions_that_are_off() -> None:
    """Nobody is asked anything more."""
    databases = take(Made({}, refuses=dict.fromkeys((1, 2, 3), "actions are switched off in this service")))
    assert databases.views == ()
    assert {each.reason for each in databases.refusals.values()} == {
        "actions are switched off in this service"
    }
