"""A database's own view, as scripts and people read it."""

from __future__ import annotations

import json
from typing import Any

from perftui.model.database import Databases, Holder, joined
from perftui.present.documents.database import database_document, database_text
from perftui_agent.wire.database import DatabaseLook, DatabaseSession, HeldConnection, SqliteFile
from perftui_agent.wire.dumps import Refusal
from tests.support.fake_database import locked

PROMISED: dict[str, Any] = {
    "kind": str,
    "left_out": list,
    "connections": {"used": int, "max": int},
    "sessions": [
        {
            "pid": int,
            "worker": (int, type(None)),
            "route": (str, type(None)),
            "state": (str, type(None)),
            "waits_for": (str, type(None)),
            "age_ms": (float, type(None)),
            "statement": (str, type(None)),
        }
    ],
    "locks": [{"blocked": int, "by": int, "route": str, "by_route": str, "on": str}],
}
"""The keys of the public interface, and what their values are."""


def is_as_promised(value: Any, promised: Any) -> bool:
    if isinstance(promised, dict):
        return all(is_as_promised(value[key], kind) for key, kind in promised.items())
    if isinstance(promised, list):
        return bool(value) and all(is_as_promised(each, promised[0]) for each in value)
    return isinstance(value, promised)


def test_the_document_has_the_keys_of_the_interface() -> None:
    """With what they hold, as JSON."""
    document = json.loads(json.dumps(database_document(locked(), "localhost:8000")))
    assert is_as_promised(document, PROMISED)
    assert document["workers"] == {"answered": 4, "known": 4}
    assert document["connections"]["used"] == 41
    assert [(each["blocked"], each["by"], each["root"]) for each in document["locks"]] == [
        (72, 71, 71),
        (73, 72, 71),
    ]
    assert document["others"] == []


def test_what_is_not_known_is_null_and_said() -> None:
    """Another user's session has no state; who did not answer, and a pooler in between, are named."""
    hidden = locked().views[0].sessions[-1]
    assert hidden.session.hidden
    databases = Databases(locked().views, 3, 4, {104: Refusal(id="d", reason="it gave no answer")})
    document = database_document(databases, "localhost:8000")
    session = next(each for each in document["sessions"] if each["pid"] == hidden.pid)
    assert (session["state"], session["statement"], session["age_ms"]) == (None, None, None)
    assert any("worker 104" in each and "gave no answer" in each for each in document["left_out"])
    look = DatabaseLook(
        engine="a", kind="postgresql", database="a", sessions=[DatabaseSession(pid=1, state="idle")]
    )
    ours = Holder("w", 41, HeldConnection(database="a", session=900, held=True))
    pooled = database_document(Databases((joined(look, [ours]),), 1, 1), "8000")
    assert any("PgBouncer" in each for each in pooled["left_out"])


def test_several_databases() -> None:
    """The first has the keys, the others are whole documents beside it."""
    look = DatabaseLook(engine="b", kind="sqlite", database="b.db", sqlite=SqliteFile(journal_mode="wal"))
    document = database_document(Databases((*locked().views, joined(look, ())), 4, 4), "8000")
    (other,) = document["others"]
    assert (other["kind"], other["name"], other["sqlite"]["journal_mode"]) == ("sqlite", "b.db", "wal")


def test_as_text() -> None:
    """The tree, what is costly, the tables, and what is left out: within the width, whatever that is."""
    for width in (80, 120, 200):
        lines = database_text(locked(), width)
        assert max(map(len, lines)) <= width
        text = "\n".join(lines)
        assert " ▲ POST /checkout  worker 102" in text
        assert "LEFT OUT" in text
        assert "pg_read_all_stats" in text
        assert "COST THE SERVER MOST" in text
        assert "412k" in text
