"""What is said of a database: each kind where it holds, and next to where it does."""

from __future__ import annotations

from typing import Any

import pytest

from perftui.findings.find import find
from perftui.model.database import DatabaseView, Holder, joined
from perftui.model.happenings import FlightRow
from perftui.model.summary import Summary
from perftui_agent.wire.database import (
    DatabaseLook,
    DatabaseSession,
    HeldConnection,
    LockWait,
    SqliteFile,
)
from perftui_agent.wire.requests import InFlight
from tests.perftui.findings.pictures import a_query, a_route, found, only, picture

SECOND = 1_000_000_000

DATABASE = "db:5432/shop"


def session(pid: int, state: str = "active", seconds: float = 12.0, **more: Any) -> DatabaseSession:
    ns = int(seconds * SECOND)
    values: dict[str, Any] = {"transaction_ns": ns, "state_ns": ns, "statement_ns": ns, **more}
    return DatabaseSession(pid=pid, state=state, **values)


def view(
    *sessions: DatabaseSession,
    locks: list[LockWait] | None = None,
    ours: dict[int, str] | None = None,
    **more: Any,
) -> DatabaseView:
    """Return a database; `ours`: by session, the route that has it, each in a worker of its own."""
    look = DatabaseLook(
        engine=DATABASE,
        kind="postgresql",
        database=DATABASE,
        sessions=list(sessions),
        locks=locks or [],
        **{"connections_used": 20, "connections_max": 100, "connections_reserved": 3, **more},
    )
    holders = [
        Holder(
            f"host/{pid + 4000}",
            pid + 4000,
            HeldConnection(database=DATABASE, session=pid, route=route, held=True, in_flight=True),
        )
        for pid, route in (ours or {}).items()
    ]
    return joined(look, holders)


def seen(*views: DatabaseView, **more: Any) -> Summary:
    return picture(databases=list(views), **more)


def waits(pid: int, by: int, seconds: float, on: str = "a row of items") -> LockWait:
    return LockWait(blocked=pid, by=[by], on=on, mode="ShareLock", waits_ns=int(seconds * SECOND))


def queue(
    seconds: float = 12.0, holder: str = "POST /checkout", state: str = "idle in transaction"
) -> DatabaseView:
    """Return a queue of two behind a session that idles, all of them ours."""
    return view(
        session(1, "idle in transaction", statement="UPDATE items SET stock = ? WHERE id = ?"),
        session(2, statement="UPDATE items SET stock = ? WHERE id = ?", fingerprint="f00d"),
        session(3, statement="SELECT stock FROM items FOR UPDATE"),
        locks=[waits(2, 1, seconds), waits(3, 2, seconds / 2)],
        ours={1: holder, 2: "POST /checkout", 3: "GET /report"},
    )


def test_a_lock_is_the_route_that_holds_it() -> None:
    """With all who wait for it, how long, for what, and what the one that holds it does."""
    finding = only("db-lock", seen(queue()))
    assert (finding.subject, finding.severity) == ("POST /checkout", "high")
    assert finding.sentence == (
        "2 sessions wait up to 12.0 s for a row of items in db:5432/shop: worker 4001 holds it, "
        "idle in transaction for 12.0 s, after UPDATE items SET stock = ? WHERE id = ?"
    )
    assert [each["route"] for each in finding.evidence["waiting"]] == ["POST /checkout", "GET /report"]
    assert finding.evidence["waiting"][1]["by"] == 2
    assert finding.route == "POST /checkout"
    assert finding.worker == "host/4001"
    assert "commit before calling other services" in finding.advice


def test_a_short_wait_is_what_locks_are_for() -> None:
    """Until two seconds nothing is said; what stands goes below one."""
    assert found("db-lock", seen(queue(1.9))) == []
    key = f"{DATABASE} POST /checkout"
    assert len(found("db-lock", seen(queue(1.9)), {key: "medium"})) == 1
    assert found("db-lock", seen(queue(0.9)), {key: "medium"}) == []


def test_another_application_holds_the_lock() -> None:
    """It has its name and no route: who suffers is the subject."""
    blocked = view(
        session(1, "idle in transaction", application="psql"),
        session(2),
        locks=[waits(2, 1, 8)],
        ours={2: "POST /checkout"},
    )
    finding = only("db-lock", seen(blocked))
    assert finding.subject == "POST /checkout"
    assert "psql (session 1) holds it, idle in transaction for 12.0 s" in finding.sentence
    assert finding.evidence["blocker_route"] is None
    assert finding.evidence["blocker_application"] == "psql"
    assert found("idle-in-transaction", seen(blocked)) == []


def test_others_among_themselves() -> None:
    """A queue that nobody of ours stands in or holds up is theirs."""
    assert found("db-lock", seen(view(session(1), session(2), locks=[waits(2, 1, 60)]))) == []


def test_a_prepared_transaction_holds_the_lock() -> None:
    """Nobody's session does."""
    finding = only("db-lock", seen(view(session(2), locks=[waits(2, 0, 8)], ours={2: "PUT /stock"})))
    assert finding.subject == "PUT /stock"
    assert "a prepared transaction holds it" in finding.sentence


def test_an_idle_transaction_names_its_route() -> None:
    """How many sessions it has left so, for how long, and after which statement."""
    idle = session(1, "idle in transaction", 31, statement="SELECT … FROM orders", fingerprint="abc")
    finding = only("idle-in-transaction", seen(view(idle, ours={1: "POST /pay"})))
    assert (finding.subject, finding.severity) == ("POST /pay", "medium")
    assert finding.sentence == (
        "1 session of db:5432/shop idle in transaction for up to 31.0 s after SELECT … FROM orders, "
        "worker 4001"
    )
    assert finding.statement == "abc"


@pytest.mark.parametrize(
    ("state", "seconds", "ours"),
    [
        ("idle in transaction", 4.9, {1: "POST /pay"}),
        ("idle in transaction", 3600, {}),
        ("active", 3600, {1: "GET /analysis"}),
        ("idle", 3600, {1: "GET /"}),
    ],
)
def test_no_idle_transaction(state: str, seconds: float, ours: dict[int, str]) -> None:
    """A moment of it, another application's, a long query and an idle connection are no finding."""
    assert find(seen(view(session(1, state, seconds), ours=ours))) == ()


def test_an_idle_transaction_of_no_request() -> None:
    """What a task of the app's own has begun says so."""
    idle = view(session(1, "idle in transaction (aborted)", 90), ours={1: ""})
    finding = only("idle-in-transaction", seen(idle))
    assert (finding.subject, finding.route, finding.severity) == ("outside requests", None, "high")


def test_connections_run_out() -> None:
    """From nine tenths of those that are not kept for superusers, by who has them."""
    full = view(connections_used=95, applications={"shop": 60, "billing": 35})
    finding = only("db-connections", seen(full))
    assert (finding.subject, finding.severity) == (DATABASE, "high")
    assert finding.sentence == "95 of 97 connections used (98 %): shop 60, billing 35"
    assert only("db-connections", seen(view(connections_used=88))).severity == "medium"
    assert found("db-connections", seen(view(connections_used=87))) == []
    assert len(found("db-connections", seen(view(connections_used=85)), {DATABASE: "medium"})) == 1


def test_connections_are_refused() -> None:
    """When the agent was refused, too, that is what is known."""
    look = DatabaseLook(
        engine=DATABASE,
        kind="postgresql",
        database=DATABASE,
        refused="sorry, too many clients already",
        full=True,
    )
    finding = only("db-connections", seen(joined(look, ())))
    assert finding.sentence == "the server takes no more connections: sorry, too many clients already"


def test_the_line_at_which_the_holder_idles() -> None:
    """Of one request of the route in that worker it is known; of several it is not certain whose it is."""
    flight = FlightRow(
        "host/4001",
        4001,
        InFlight(
            route="POST /checkout",
            method="POST",
            path="/checkout",
            age_ns=12 * SECOND,
            waiting_at="app/pay.py:12 pay",
        ),
    )
    finding = only("db-lock", seen(queue(), in_flight=[flight]))
    assert finding.sentence.endswith(", now at app/pay.py:12 pay")
    assert finding.evidence["blocker_at"] == "app/pay.py:12 pay"
    assert only("db-lock", seen(queue(), in_flight=[flight] * 2)).evidence["blocker_at"] is None
    idle = view(session(1, "idle in transaction"), ours={1: "POST /checkout"})
    finding = only("idle-in-transaction", seen(idle, in_flight=[flight]))
    assert finding.sentence.endswith("worker 4001, now at app/pay.py:12 pay")


def test_a_lock_silences_what_comes_of_it() -> None:
    """The statement that waits is not slow, who waits is not stuck, and what idles holds the lock."""
    summary = seen(
        queue(holder="POST /reserve"),
        routes=[a_route("GET /report", [20.0] * 100)],
        queries=[
            a_query([9000.0] * 50, statement="UPDATE items SET …", fingerprint=each, slow=50)
            for each in ("f00d", "beef")
        ],
    )
    assert {(each.kind, each.statement) for each in find(summary)} == {
        ("db-lock", "f00d"),
        ("slow-query", "beef"),
    }


def test_sqlites_write_lock() -> None:
    """Who has it is known, who waits is estimated, and it is said which is which."""

    def out(pid: int, seconds: float, writing: float | None, route: str) -> Holder:
        held = HeldConnection(
            database="shop.db",
            route=route,
            held=True,
            in_flight=True,
            age_ns=int(seconds * SECOND),
            in_transaction=True,
            writing_ns=None if writing is None else int(writing * SECOND),
        )
        return Holder(f"host/{pid}", pid, held)

    file = SqliteFile(writer=41, busy_timeout_ms=5000)
    look = DatabaseLook(engine="shop.db", kind="sqlite", database="shop.db", sqlite=file)
    held_up = joined(look, [out(41, 4, None, "POST /pay"), out(42, 3, 3, "PUT /stock")])
    finding = only("db-lock", seen(held_up))
    assert (finding.subject, finding.evidence["estimated"]) == ("POST /pay", True)
    assert finding.sentence == (
        "1 connection seems to wait up to 3.0 s for the write lock of shop.db: worker 41 has it, with a "
        "connection that is out for 4.0 s; they give up after 5.0 s"
    )
    alone = joined(look, [out(41, 40, None, "POST /pay"), out(42, 50, None, "GET /reads")])
    assert found("db-lock", seen(alone)) == [], "who only reads does not wait for it"
