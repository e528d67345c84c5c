"""When the probes attach, and what they leave behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import types
import weakref
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import QueuePool, base

from perftui_agent.guard import Guard
from perftui_agent.probes.sql.pool import PoolProbe
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from perftui_agent.window.window import Window
from tests.support.databases import Seen, seeing


def new_probes() -> list[SqlAlchemyProbe | PoolProbe]:
    window, guard = Window(), Guard()
    return [SqlAlchemyProbe(window, guard, 100), PoolProbe(window, guard)]


def test_not_imported() -> None:
    """An app that doesn't use SQLAlchemy doesn't get it imported by the agent."""
    code = """
import sys
from perftui_agent.guard import Guard
from perftui_agent.probes.sql.pool import PoolProbe
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from perftui_agent.window.window import Window
window = Window()
probes = SqlAlchemyProbe(window, Guard(), 100), PoolProbe(window, Guard())
print([probe.attach() for probe in probes], "sqlalchemy" in sys.modules)
import sqlalchemy
print([probe.attach() for probe in probes])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['off: not imported', 'off: not imported'] False\n['on', 'on']\n"


def test_half_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """While another thread is importing SQLAlchemy the probes wait."""
    module: Any = types.ModuleType("sqlalchemy")
    module.__spec__ = types.SimpleNamespace(_initializing=True)
    monkeypatch.setitem(sys.modules, "sqlalchemy", module)
    assert [probe.attach() for probe in new_probes()] == ["off: not imported"] * 2
    module.__spec__ = None
    assert [probe.attach() for probe in new_probes()] == ["off: not imported"] * 2


def test_unknown_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that lacks what the probes need turns them off, with the reason, and stays as it is."""
    monkeypatch.delattr(DefaultDialect, "do_execute_no_params")
    monkeypatch.delattr(base._ConnectionRecord, "checkout")
    execute = DefaultDialect.do_execute
    statuses = [probe.attach() for probe in new_probes()]
    assert all(status.startswith("off: SQLAlchemy 2.") for status in statuses)
    assert "do_execute_no_params" in statuses[0]
    assert "checkout" in statuses[1]
    assert DefaultDialect.do_execute is execute


def test_a_checkout_that_takes_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version whose checkout is called in another way turns the pools' probe off; nothing is wrapped."""

    def checkout(cls: Any, pool: Any, deadline: Any = None) -> None: ...

    monkeypatch.setattr(base._ConnectionRecord, "checkout", classmethod(checkout))
    _, pools = new_probes()
    assert pools.attach().endswith("checks connections out in another way")
    assert vars(base._ConnectionRecord)["checkout"].__func__ is checkout


def test_a_wrapper_of_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout that somebody else has wrapped is none the less the one that is known."""
    original = base._ConnectionRecord.checkout

    def checkout(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    monkeypatch.setattr(base._ConnectionRecord, "checkout", classmethod(checkout))
    engine = create_engine("sqlite://", poolclass=QueuePool)
    with seeing() as seen, engine.connect():
        assert seen.pools()[":memory:"].checkouts == 1
    engine.dispose()


def test_a_dialect_that_comes_later(seen: Seen) -> None:
    """A dialect with ways of its own, made after the probe attached, counts each statement once."""

    class Late(SQLiteDialect_pysqlite):
        supports_statement_cache = True

        def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
            cursor.execute(statement, parameters)

        def do_executemany(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
            super().do_executemany(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def work() -> dict[str, int]:
        engine = create_engine("sqlite://")
        engine.dialect.__class__ = Late
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE t (a INTEGER)"))
            connection.execute(text("INSERT INTO t VALUES (:a)"), [{"a": 1}, {"a": 2}])
        engine.dispose()
        return seen.counts()

    expected = {"CREATE TABLE t (a INTEGER)": 1, "INSERT INTO t VALUES (…)": 1}
    assert {key: count for key, count in work().items() if key in expected} == expected
    assert {key: count for key, count in work().items() if key in expected} == expected


def test_wrapped_by_another(seen: Seen) -> None:
    """When somebody wraps what we have wrapped, detaching leaves theirs in place, and ours does nothing."""
    ours = DefaultDialect.do_execute

    def theirs(*args: Any) -> Any:
        return ours(*args)  # type: ignore[no-untyped-call]

    DefaultDialect.do_execute = theirs  # type: ignore[method-assign]
    try:
        seen.sql.detach()
        assert DefaultDialect.do_execute is theirs
        engine = create_engine("sqlite://")
        with seeing() as again, engine.connect() as connection:
            connection.execute(text("SELECT 7"))
            assert again.counts()["SELECT ?"] == 1
        engine.dispose()
        assert seen.counts() == {}
    finally:
        DefaultDialect.do_execute = _original(ours)  # type: ignore[method-assign]


def _original(ours: Any) -> Any:
    """Return what a wrapper of ours calls."""
    (execute,) = [
        cell.cell_contents
        for name, cell in zip(ours.__code__.co_freevars, ours.__closure__, strict=True)
        if name == "execute"
    ]
    return execute


def test_engines_leave_nothing(seen: Seen, tmp_path: Path) -> None:
    """Engines that are made, used and thrown away leave nothing with the agent."""
    dead: list[weakref.ref[Any]] = []

    def use(number: int) -> None:
        engine = create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=QueuePool)
        with seen.request(), engine.connect() as connection:
            connection.execute(text(f"SELECT {number}"))
        engine.dispose()
        dead.extend([weakref.ref(engine), weakref.ref(engine.pool), weakref.ref(engine.dialect)])

    for number in range(200):
        use(number)
    seen.frame()
    seen.frame()
    gc.collect()
    assert [ref() for ref in dead if ref() is not None] == []
    assert seen.frame().pools == []
    assert seen.pool._places.pools == {}


def test_a_fault_of_ours(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in either probe costs a count, and neither the statement nor the connection."""

    def broken(_: object) -> None:
        raise LookupError("a fault of ours")

    monkeypatch.setattr(seen.window, "put", broken)
    seen.sql._put = broken  # type: ignore[assignment]
    engine = create_engine("sqlite://", poolclass=QueuePool)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 7")).scalar() == 7
    engine.dispose()
    assert seen.guard.faults["probes.sqlalchemy"] >= 1
    assert seen.guard.faults["probes.pools"] >= 1
    seen.guard.faults.clear()
