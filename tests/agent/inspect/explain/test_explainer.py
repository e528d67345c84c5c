"""Explaining by fingerprint: the slowest run, each driver, what is refused, and what never gets out."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from perftui_agent.guard import Guard
from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.inspect.explain.attention import BURST, Attention
from perftui_agent.inspect.explain.explainer import CannotExplainError, Explainer
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.codec import encode
from perftui_agent.wire.explain import Explanation, MissingIndex, PlanNote
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import StatementFrame
from tests.support.databases import Seen, seeing

SECRET = "s3cret-reference-4711"

BY_REFERENCE = "SELECT id FROM orders WHERE reference = :reference AND status = :status"


def explainer_of(seen: Seen, **options: Any) -> Explainer:
    return Explainer(shape_of=seen.window.shapes.shape, own=OwnConnections(seen.engines), **options)


def fingerprint_of(frame: Frame, words: str = "reference =") -> str:
    (found,) = [each.fingerprint for each in frame.statements if words in each.statement]
    return found


async def explained(explainer: Explainer, fingerprint: str) -> Explanation:
    return await explainer.explain(fingerprint, request_id="e", pid=1, why="a test")


def run_and_explain(url: str, seen: Seen) -> Explanation:
    """Run a statement on an engine of the app's kind, then explain it."""
    values = {"reference": SECRET, "status": "paid"}

    async def in_a_loop() -> Explanation:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            (await connection.execute(text(BY_REFERENCE), values)).all()
        try:
            return await explained(explainer_of(seen), fingerprint_of(seen.frame()))
        finally:
            await engine.dispose()

    if any(name in url for name in ("aiosqlite", "asyncpg", "psycopg_async")):
        return asyncio.run(in_a_loop())
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text(BY_REFERENCE), values).all()
    try:
        return asyncio.run(explained(explainer_of(seen), fingerprint_of(seen.frame())))
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    "driver", ["pysqlite", "aiosqlite", "asyncpg", "psycopg", "psycopg_async", "psycopg2"]
)
def test_every_driver(
    driver: str, sqlite_file: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """The value that the run had is sent to the database again, and is nowhere in what comes of it."""
    caplog.set_level(logging.INFO)
    if "sqlite" in driver:
        url = f"sqlite+{driver}:///{sqlite_file}"
    else:
        host = request.getfixturevalue("postgres_host")
        url = f"postgresql+{driver}://shop@/analysed?host={host}"
    with seeing() as seen:
        told = run_and_explain(url, seen)
        assert [(each.table, each.columns) for each in told.missing] == [("orders", ("reference", "status"))]
        assert told.run_ns > 0
        assert SECRET.encode() not in encode(told)
        assert SECRET not in caplog.text
        assert SECRET not in repr([seen.window.shapes.shape(told.fingerprint)])


def test_the_slowest_run_is_kept_and_no_other(sqlite_file: Path) -> None:
    """A run that is quicker takes nobody's place, one that is slower does; fetching is part of it."""
    engine = create_engine(f"sqlite:///{sqlite_file}")
    with seeing() as seen, engine.connect() as connection:
        kept: list[Any] = []
        for last in (10, 20_000, 50):
            connection.execute(text("SELECT note FROM orders WHERE id < :last"), {"last": last}).all()
            shape = seen.window.shapes.shape(fingerprint_of(seen.frame(), "id < ?"))
            assert shape is not None
            assert shape.slowest is not None
            kept.append(shape.slowest.parameters)
        assert kept == [(10,), (20_000,), (20_000,)]
    engine.dispose()


@pytest.mark.parametrize("value", ["x" * 20_000, bytearray(b"mutable")], ids=["large", "no plain value"])
def test_values_that_are_no_small_plain_ones_are_not_kept(value: Any, sqlite_file: Path) -> None:
    """Nothing of the app's lives longer for it; the refusal says so."""
    engine = create_engine(f"sqlite:///{sqlite_file}")
    with seeing() as seen, engine.connect() as connection:
        connection.execute(text(BY_REFERENCE), {"reference": value, "status": "paid"}).all()
        fingerprint = fingerprint_of(seen.frame())
        with pytest.raises(CannotExplainError, match="no run is kept"):
            asyncio.run(explained(explainer_of(seen), fingerprint))
    engine.dispose()


def test_nothing_is_kept_where_nobody_may_ask(sqlite_file: Path) -> None:
    """With actions switched off no value outlives its statement, met for the first time or again."""
    engine = create_engine(f"sqlite:///{sqlite_file}")
    with seeing(keeps_runs=False) as seen, engine.connect() as connection:
        for _ in range(2):
            connection.execute(text(BY_REFERENCE), {"reference": SECRET, "status": "paid"}).all()
            connection.execute(text("SELECT 1"))
            assert not any(getattr(record, "parameters", None) for record in seen.window.pending)
            shape = seen.window.shapes.shape(fingerprint_of(seen.frame()))
            assert shape is not None
            assert shape.slowest is None
    engine.dispose()


def test_what_is_kept_is_bounded_and_the_quickest_go_first(sqlite_file: Path) -> None:
    """Of three hundred shapes 200 runs are kept at most."""
    engine = create_engine(f"sqlite:///{sqlite_file}")
    with seeing() as seen, engine.connect() as connection:
        for number in range(300):
            connection.execute(
                text(f"SELECT {'id, ' * number} id FROM currencies WHERE id = :id"), {"id": 1}
            ).all()
        frame = seen.frame()
        shapes = [seen.window.shapes.shape(each.fingerprint) for each in frame.statements]
        kept = [shape.slowest_ns for shape in shapes if shape is not None and shape.slowest is not None]
        let_go = [shape.slowest_ns for shape in shapes if shape is not None and shape.slowest is None]
        assert len(kept) == 200
        assert max(let_go) <= min(kept)
    engine.dispose()


def refused(seen: Seen, fingerprint: str, **options: Any) -> str:
    with pytest.raises(CannotExplainError) as refusal:
        asyncio.run(explained(explainer_of(seen, **options), fingerprint))
    return refusal.value.reason


def test_what_can_t_be_explained_is_refused_in_one_sentence(sqlite_file: Path) -> None:
    """Steps of transactions, statements of a service that tells nothing of them, engines that are gone."""
    engine = create_engine(f"sqlite:///{sqlite_file}")
    with seeing() as seen:
        with engine.connect() as connection:
            connection.execute(text(BY_REFERENCE), {"reference": SECRET, "status": "paid"}).all()
            connection.commit()
        frame = seen.frame()
        fingerprint = fingerprint_of(frame)
        commit = next(each.fingerprint for each in frame.transactions if each.statement == "COMMIT")
        assert refused(seen, commit) == "COMMIT is no query: a database has no plan for it"
        assert "PERFTUI_SQL_TEXT=off" in refused(seen, fingerprint, shows_text=False)
        engine.dispose()
        del engine, connection
        gc.collect()
        assert "is gone" in refused(seen, fingerprint)


def test_of_a_database_s_complaint_only_the_code_is_told(sqlite_file: Path, tmp_path: Path) -> None:
    """It may quote a value."""
    file = tmp_path / "shop.db"
    file.write_bytes(sqlite_file.read_bytes())
    engine = create_engine(f"sqlite:///{file}")
    with seeing() as seen:
        with engine.connect() as connection:
            connection.execute(text(f"SELECT note FROM orders WHERE note = '{SECRET}'")).all()
            connection.execute(text("ALTER TABLE orders RENAME TO former"))
            connection.commit()
        assert refused(seen, fingerprint_of(seen.frame(), "note = ?")) == "the database could not plan it"
    engine.dispose()


def test_another_plan_than_before_is_told_once(sqlite_file: Path, tmp_path: Path) -> None:
    """Which steps have gone and which have come, as soon as it is seen; the same plan again is no news."""
    file = tmp_path / "shop.db"
    file.write_bytes(sqlite_file.read_bytes())
    engine = create_engine(f"sqlite:///{file}")
    changes: list[PlanNote] = []
    with seeing() as seen, engine.connect() as connection:
        connection.execute(text(BY_REFERENCE), {"reference": SECRET, "status": "paid"}).all()
        fingerprint = fingerprint_of(seen.frame())
        explainer = explainer_of(seen, changed=lambda note, _: changes.append(note))
        for before in ("", "CREATE INDEX ix_reference ON orders (reference)", ""):
            if before:
                connection.execute(text(before))
                connection.commit()
            asyncio.run(explained(explainer, fingerprint))
        (change,) = changes
        assert change.changed.startswith("SCAN orders → SEARCH orders USING INDEX ix_reference")
        assert explainer.known(fingerprint) is not None
    engine.dispose()


class _Counted(Explainer):
    """Explains nothing, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.forgotten: list[str] = []

    def can_explain(self, fingerprint: str) -> bool:
        return True

    def known(self, fingerprint: str) -> PlanNote | None:
        return PlanNote(fingerprint=fingerprint, taken_at=1) if fingerprint in self.asked else None

    def forget(self, fingerprint: str) -> None:
        self.forgotten.append(fingerprint)

    async def explain(self, fingerprint: str, **_: Any) -> Explanation:
        self.asked.append(fingerprint)
        return Explanation(id="", pid=1, taken_at=1, took_ns=1, fingerprint=fingerprint)


def frame_of(*slow: str) -> Frame:
    statements = [StatementFrame(fingerprint=each, statement=each, slow=1) for each in slow]
    return Frame(seq=1, ended_at=1, span_ns=1, statements=statements)


async def _settled(attention: Attention, work: Callable[[], Awaitable[None]]) -> None:
    running = asyncio.create_task(attention.run())
    await work()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_a_slow_statement_is_explained_once_and_told_with_the_next_frame() -> None:
    """Again only after five minutes; what is quick is not looked at."""
    now = [0.0]
    explainer = _Counted()
    attention = Attention(explainer, Guard(), pid=1, clock=lambda: now[0], stagger_s=0.0)

    async def work() -> None:
        for _ in range(3):
            attention.note(frame_of("slow"))
            await asyncio.sleep(0.01)
        assert explainer.asked == ["slow"]
        quiet = Frame(
            seq=2, ended_at=2, span_ns=1, statements=[StatementFrame(fingerprint="slow", statement="")]
        )
        attention.note(quiet)
        assert quiet.plans == []
        again = frame_of("slow")
        attention.note(again)
        assert [each.fingerprint for each in again.plans] == ["slow"]
        now[0] = 301.0
        attention.note(frame_of("slow"))
        await asyncio.sleep(0.01)
        assert explainer.asked == ["slow", "slow"]
        silent = Frame(seq=3, ended_at=3, span_ns=1)
        attention.note(silent)
        assert [each.fingerprint for each in silent.plans] == ["slow"], "as soon as it is known"

    asyncio.run(_settled(attention, work))


def test_a_statement_that_was_quick_and_becomes_slow_is_explained_anew() -> None:
    """Its plan is another, when an index has gone; one that is slow now and then waits five minutes."""
    now = [0.0]
    explainer = _Counted()
    apart: list[float] = []

    def turn(_: str, every_s: float) -> bool:
        apart.append(every_s)
        return True

    attention = Attention(explainer, Guard(), pid=1, turn=turn, clock=lambda: now[0], stagger_s=0.0)

    async def seconds(number: int, slow: int) -> None:
        for _ in range(number):
            now[0] += 1.0
            took = LatencySketch()
            for _ in range(4):
                took.add(1_000_000)
            row = StatementFrame(fingerprint="x", statement="x", latency=took, slow=slow)
            attention.note(Frame(seq=1, ended_at=1, span_ns=1, statements=[row]))
            await asyncio.sleep(0.001)

    async def work() -> None:
        await seconds(1, slow=1)
        await seconds(20, slow=0)
        await seconds(1, slow=1)
        assert explainer.asked == ["x"], "once more is no habit"
        await seconds(5, slow=0)
        await seconds(3, slow=3)
        assert explainer.asked == ["x", "x"]
        await seconds(60, slow=3)
        assert explainer.asked == ["x", "x"], "slow all the while"
        assert apart[0] > 200 > 10 > apart[1]

    asyncio.run(_settled(attention, work))


def test_a_database_that_is_locked_for_a_while_is_asked_again_soon() -> None:
    """Three times five seconds later, while the statement is slow; then it is one that can't be explained."""
    now = [0.0]

    class Locked(_Counted):
        async def explain(self, fingerprint: str, **_: Any) -> Explanation:
            self.asked.append(fingerprint)
            raise CannotExplainError("the database could not plan it")

    explainer = Locked()
    attention = Attention(explainer, Guard(), pid=1, clock=lambda: now[0], stagger_s=0.0)

    async def work() -> None:
        asked: list[float] = []
        for second in range(400):
            now[0] = float(second)
            before = len(explainer.asked)
            attention.note(frame_of("slow"))
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            asked += [now[0]] * (len(explainer.asked) - before)
        assert asked == [0.0, 5.0, 10.0, 15.0, 315.0]

    asyncio.run(_settled(attention, work))


def test_what_a_sibling_asked_while_it_was_slow_by_chance_is_asked_anew() -> None:
    """The sibling's turn was a minute ago: a worker that sees it slow twice since takes one."""
    apart: list[float] = []

    def turn(_: str, every_s: float) -> bool:
        apart.append(every_s)
        return every_s < 60.0

    explainer = _Counted()
    now = [0.0]
    attention = Attention(explainer, Guard(), pid=1, turn=turn, clock=lambda: now[0], stagger_s=0.0)

    async def work() -> None:
        for second in (0.0, 5.0, 12.0):
            now[0] = second
            attention.note(frame_of("slow"))
            await asyncio.sleep(0.01)
        assert apart == [pytest.approx(270.0), pytest.approx(4.5)]
        assert explainer.asked == ["slow"]

    asyncio.run(_settled(attention, work))


def test_a_statement_that_takes_far_longer_than_before_is_explained_anew() -> None:
    """Where it is slow now and then, its index may go as well."""
    now = [0.0]
    explainer = _Counted()
    attention = Attention(explainer, Guard(), pid=1, clock=lambda: now[0], stagger_s=0.0)

    async def seconds(number: int, ms: int) -> None:
        for _ in range(number):
            now[0] += 1.0
            took = LatencySketch()
            took.add(ms * 1_000_000)
            row = StatementFrame(fingerprint="x", statement="x", latency=took, slow=1)
            attention.note(Frame(seq=1, ended_at=1, span_ns=1, statements=[row]))
            await asyncio.sleep(0.001)

    async def work() -> None:
        await seconds(20, 110)
        await seconds(20, 250)
        assert len(explainer.asked) == 1
        await seconds(20, 700)
        assert len(explainer.asked) == 2

    asyncio.run(_settled(attention, work))


class _Wanting(_Counted):
    """Whose plans want an index, as long as there is none."""

    wants = True

    def known(self, fingerprint: str) -> PlanNote | None:
        missing = (MissingIndex(table="t", columns=("a",), create=""),) if self.wants else ()
        return PlanNote(fingerprint=fingerprint, taken_at=1, missing=missing) if self.asked else None


def test_a_plan_that_wanted_an_index_is_asked_for_anew_when_the_statement_is_quick() -> None:
    """Once: the index may be there by now, and what is slow from then on is slow for something else."""
    now = [0.0]
    explainer = _Wanting()
    attention = Attention(explainer, Guard(), pid=1, clock=lambda: now[0], stagger_s=0.0)

    async def seconds(number: int, slow: int) -> None:
        for _ in range(number):
            now[0] += 1.0
            row = StatementFrame(fingerprint="x", statement="x", slow=slow)
            attention.note(Frame(seq=1, ended_at=1, span_ns=1, statements=[row]))
            await asyncio.sleep(0.001)

    async def work() -> None:
        await seconds(20, slow=1)
        assert len(explainer.asked) == 1
        await seconds(60, slow=0)
        assert len(explainer.asked) == 2, "it wants one still"
        await seconds(20, slow=1)
        assert len(explainer.asked) == 3, "slow again"
        explainer.wants = False
        await seconds(60, slow=0)
        assert len(explainer.asked) == 3

    asyncio.run(_settled(attention, work))


def test_a_plan_that_wanted_an_index_is_asked_for_anew_when_a_run_is_far_quicker() -> None:
    """Who reads a table whole is never so quick; on a busy machine it is slow now and then all the same."""
    now = [0.0]
    explainer = _Wanting()
    attention = Attention(explainer, Guard(), pid=1, clock=lambda: now[0], stagger_s=0.0)

    async def seconds(number: int, *each_ms: int) -> None:
        for _ in range(number):
            now[0] += 1.0
            took = LatencySketch()
            for ms in each_ms:
                took.add(ms * 1_000_000)
            row = StatementFrame(fingerprint="x", statement="x", latency=took, slow=1)
            attention.note(Frame(seq=1, ended_at=1, span_ns=1, statements=[row]))
            await asyncio.sleep(0.001)

    async def work() -> None:
        await seconds(20, 240)
        assert len(explainer.asked) == 1
        await seconds(20, 110, 240)
        assert len(explainer.asked) == 1, "by other values; the table is read all the same"
        await seconds(60, 30, 150)
        assert len(explainer.asked) == 2, "it wants one still, and is no quicker from then on"
        explainer.wants = False
        await seconds(60, 2, 150)
        assert len(explainer.asked) == 2

    asyncio.run(_settled(attention, work))


def test_one_worker_of_a_service_explains_a_statement() -> None:
    """Who has not got the turn leaves it to the one who has, and asks again when its time has come."""
    now, turns = [0.0], [("the plan of slow", False)]
    explainer = _Counted()

    def turn(what: str, every_s: float) -> bool:
        assert every_s == pytest.approx(270.0 if not now[0] else 4.5)
        return (what, True) in turns

    attention = Attention(explainer, Guard(), pid=1, turn=turn, clock=lambda: now[0], stagger_s=0.0)

    async def work() -> None:
        attention.note(frame_of("slow"))
        await asyncio.sleep(0.01)
        assert (explainer.asked, explainer.forgotten) == ([], ["slow"])
        turns.append(("the plan of slow", True))
        now[0] = 301.0
        attention.note(frame_of("slow"))
        await asyncio.sleep(0.01)
        assert explainer.asked == ["slow"]

    asyncio.run(_settled(attention, work))


def test_many_slow_statements_are_not_all_explained_at_once() -> None:
    """Ten, and from then on one every two seconds: a database in trouble is not asked more than that."""
    explainer = _Counted()
    attention = Attention(explainer, Guard(), pid=1, clock=lambda: 0.0, stagger_s=0.0)

    async def work() -> None:
        attention.note(frame_of(*(f"slow {number}" for number in range(40))))
        await asyncio.sleep(0.05)
        assert len(explainer.asked) == BURST

    asyncio.run(_settled(attention, work))


def test_a_plan_s_note_has_room_in_a_frame() -> None:
    """A frame that is too large gives up plans like all else; what it says of them is small."""
    note = PlanNote(fingerprint="f" * 16, taken_at=1)
    assert len(msgspec.msgpack.encode(note)) < 100
