"""A database's sessions and the workers' connections, joined: whose is which, and who holds up whom."""

from __future__ import annotations

import time

from perftui.model.database import DatabaseView, Holder, joined
from perftui.model.summarize import summarize
from perftui_agent.wire.database import (
    DatabaseLook,
    DatabaseNews,
    DatabaseSession,
    HeldConnection,
    LockWait,
    SqliteFile,
)
from tests.support.frames import T, dashboard_of, frame, received, worker
from tests.support.frames import joined as worker_joined


def session(pid: int, state: str = "active", application: str = "") -> DatabaseSession:
    return DatabaseSession(
        pid=pid, state=state, application=application, transaction_ns=10**9, state_ns=10**9
    )


def a_look(
    *waits: tuple[int, list[int]], sessions: tuple[DatabaseSession, ...] = (), database: str = "db:5432/shop"
) -> DatabaseLook:
    return DatabaseLook(
        engine="db:5432/shop",
        kind="postgresql",
        database=database,
        taken_at=10**9,
        sessions=list(sessions) or [session(pid) for pid in range(1, 9)],
        locks=[
            LockWait(blocked=pid, by=by, waits_ns=pid * 10**9, on="a row of items", mode="ShareLock")
            for pid, by in waits
        ],
    )


def holder(
    pid: int,
    at: int,
    route: str = "GET /",
    database: str = "db:5432/shop",
    *,
    held: bool = True,
    in_flight: bool = True,
) -> Holder:
    connection = HeldConnection(database=database, session=at, route=route, held=held, in_flight=in_flight)
    return Holder(f"host/{pid}", pid, connection)


def edges(view: DatabaseView) -> dict[int, tuple[int, int]]:
    """Return, for each that waits, whom it waits for directly, and in the end."""
    return {row.blocked: (row.by, row.root) for row in view.locks}


def test_sessions_are_given_to_who_has_them() -> None:
    """Each of ours to its worker and route; those of others keep their own names."""
    view = joined(
        a_look(sessions=(session(1), session(2, application="psql"), session(3))),
        [holder(41, 1, "GET /orders"), holder(42, 3, "", held=False, in_flight=False)],
    )
    first, second, third = view.sessions
    assert (first.worker_pid, first.route, first.held, first.who) == (41, "GET /orders", True, "GET /orders")
    assert (second.ours, second.route, second.who) == (False, None, "psql")
    assert (third.ours, third.route, third.held, third.who) == (True, None, False, "no request")


def test_pids_of_another_server_are_others() -> None:
    """Two servers may give the same number to two backends; two databases of one server do not."""
    look = a_look(sessions=(session(1),))
    assert not joined(look, [holder(41, 1, database="other:5432/shop")]).sessions[0].ours
    assert joined(look, [holder(41, 1, database="db:5432/billing")]).sessions[0].ours


def test_a_queue_is_a_chain() -> None:
    """The server names all who are before one in the queue: the last of them is right before it."""
    view = joined(a_look((2, [1]), (3, [1, 2]), (4, [1, 2, 3])), ())
    assert edges(view) == {2: (1, 1), 3: (2, 1), 4: (3, 1)}
    assert view.roots == (1,)
    assert [row.blocks for row in view.sessions[:4]] == [3, 2, 1, 0]


def test_several_hold_what_one_waits_for() -> None:
    """Two that share a lock hold it up both, and each is named."""
    view = joined(a_look((3, [1, 2]), (5, [1, 2, 3])), ())
    assert [(row.blocked, row.by, row.root) for row in view.locks] == [(3, 1, 1), (3, 2, 2), (5, 3, 1)]
    assert view.roots == (1, 2)


def test_a_deadlock_comes_to_an_end() -> None:
    """For the second until the server ends one, nobody is the root and nothing turns in circles."""
    view = joined(a_look((1, [2]), (2, [1])), ())
    assert {row.blocked for row in view.locks} == {1, 2}
    assert len(view.roots) == 2


def test_a_long_queue_is_quickly_told() -> None:
    """Two hundred that wait for each other are what a bad night looks like."""
    began = time.process_time()
    view = joined(a_look(*((pid, list(range(1, pid))) for pid in range(2, 202))), ())
    assert time.process_time() - began < 1.0
    assert view.roots == (1,)
    assert edges(view)[201] == (200, 1)


def test_a_pooler_in_between() -> None:
    """Where no connection of ours is a session there, that is told; where one is, it is not."""
    look = a_look(sessions=(session(1),))
    assert joined(look, [holder(41, 900)]).unmatched
    assert not joined(look, [holder(41, 1), holder(42, 900)]).unmatched
    assert not joined(look, ()).unmatched


def test_the_newest_look_of_all_workers() -> None:
    """One worker looks, another has the connection: a picture joins both, and tells of what is new."""
    first, second = worker(101), worker(102)
    one, two = frame(1, T + 1), frame(1, T + 1)
    one.database = DatabaseNews(looks=[a_look((2, [1])), a_look(database="other")], why=["it waits"])
    newer = a_look((3, [1]))
    two.database = DatabaseNews(
        looks=[DatabaseLook(engine=newer.engine, kind=newer.kind, database=newer.database, taken_at=1)],
        held=[HeldConnection(database="db:5432/shop", session=1, route="POST /pay", held=True)],
    )
    summary = summarize(
        dashboard_of(
            worker_joined(first), worker_joined(second), received(first, one), received(second, two)
        ),
        T + 1.5,
        10.0,
    )
    view, other = summary.databases
    assert (view.name, other.name) == ("db:5432/shop", "other")
    row = view.session(1)
    assert row is not None
    assert (row.route, row.worker_pid) == ("POST /pay", 102)
    assert view.why == ("it waits",)


def test_sqlites_writer() -> None:
    """Of the process that has the lock it is who has a transaction; who needs it for long waits for it."""

    def out(
        pid: int, seconds: float, within: bool, writing: float | None = None, route: str = "GET /"
    ) -> Holder:
        held = HeldConnection(
            database="shop.db",
            route=route,
            held=True,
            in_flight=True,
            age_ns=int(seconds * 1e9),
            in_transaction=within,
            writing_ns=None if writing is None else int(writing * 1e9),
        )
        return Holder(f"host/{pid}", pid, held)

    look = DatabaseLook(engine="shop.db", kind="sqlite", database="shop.db", sqlite=SqliteFile(writer=41))
    holders = [
        out(41, 9, False, route="GET /reads"),
        out(41, 5, True, route="POST /pay"),
        out(41, 6, True, 4, route="PUT /price"),
        out(42, 7, True, route="GET /reads-too"),
        out(42, 3, True, 3, route="PUT /stock"),
        out(42, 0.01, True, 0.01, route="PUT /quick"),
    ]
    view = joined(look, holders)
    assert view.writer is not None
    assert (view.writer.pid, view.writer.held.route) == (41, "POST /pay")
    assert [each.held.route for each in view.waiting_for_writer] == ["PUT /price", "PUT /stock"]
    assert joined(a_look(), holders).writer is None
    assert joined(a_look(), holders).waiting_for_writer == ()
