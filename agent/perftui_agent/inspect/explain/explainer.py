"""Asks a database for the plan of a statement by the values of its slowest run, and keeps what came of it.

A statement is known by the fingerprint that frames tell it under; its text and values are those of the run
that is kept in the process (`kept_run`), and go nowhere but to the database that they have been sent to
before. What the database says of a failure may quote them: of that only the code is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.inspect.database.read_only import Ask, AskError, CannotAskError
from perftui_agent.inspect.explain.facts import Explained
from perftui_agent.inspect.explain.postgresql import explain_postgresql
from perftui_agent.inspect.explain.sqlite import explain_sqlite
from perftui_agent.inspect.explain.tokens import tokens_of
from perftui_agent.inspect.text import printable
from perftui_agent.kept_run import KeptRun
from perftui_agent.records import Shape
from perftui_agent.wire.explain import Explanation, MissingIndex, PlanNote, Verdict

ShapeOf: TypeAlias = Callable[[str], Shape | None]
"""Finds a statement by its fingerprint."""

SECONDS = 5.0
"""For one statement, its tables and what is advised together."""

MOST_KNOWN = 200
"""Plans that are remembered."""

BUSY_AGAIN_S, BUSY_TRIES = 0.3, 10
"""There is one connection of ours at a time."""

MOST_LINES, MOST_LINE = 300, 400
MOST_VERDICTS = 20
NOTED_VERDICTS = 2

_PLANNED = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES"})


class CannotExplainError(Exception):
    """There is no plan to be had; says why, and what to do."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


class Known(NamedTuple):
    """The latest plan of a statement."""

    signature: str
    note: PlanNote


class Explainer:
    """Explains statements of this worker; belongs to the agent's loop."""

    def __init__(
        self,
        *,
        shape_of: ShapeOf,
        own: OwnConnections,
        shows_text: bool = True,
        changed: Callable[[PlanNote, Shape], None] = lambda *_: None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._shape_of = shape_of
        self._own = own
        self._shows_text = shows_text
        self._changed = changed
        self._now_ns = now_ns
        self._known: dict[str, Known] = {}

    def known(self, fingerprint: str) -> PlanNote | None:
        """Return what is known of a statement's plan."""
        known = self._known.get(fingerprint)
        return known.note if known is not None else None

    def forget(self, fingerprint: str) -> None:
        """Tell no more of a plan: somebody has a newer one."""
        self._known.pop(fingerprint, None)

    def can_explain(self, fingerprint: str) -> bool:
        """Tell whether there is a run of a statement to ask about."""
        shape = self._shape_of(fingerprint)
        return (
            self._shows_text
            and shape is not None
            and shape.kind == "sql"
            and shape.verb in _PLANNED
            and shape.slowest is not None
            and shape.slowest.engine() is not None
        )

    async def explain(self, fingerprint: str, *, request_id: str, pid: int, why: str) -> Explanation:
        """Return the plan of a statement; `CannotExplainError` if there is none to be had."""
        shape, run, engine = self._run_of(fingerprint)
        taken_at, began_ns = self._now_ns(), time.monotonic_ns()
        explained = await self._asked(run, engine, why)
        note = self._remembered(shape, explained, taken_at)
        return Explanation(
            id=request_id,
            pid=pid,
            taken_at=taken_at,
            took_ns=time.monotonic_ns() - began_ns,
            fingerprint=fingerprint,
            statement=shape.shown,
            database=shape.database,
            kind=explained.kind,
            run_ns=run.ns,
            plan=[printable(line, MOST_LINE) for line in explained.plan[:MOST_LINES]],
            verdicts=_verdicts(explained)[:MOST_VERDICTS],
            missing=_missing(explained),
            note=printable(explained.note, MOST_LINE),
            changed=note.changed,
            changed_at=note.changed_at,
        )

    def _run_of(self, fingerprint: str) -> tuple[Shape, KeptRun, Any]:
        if not self._shows_text:
            raise CannotExplainError(
                "this service tells nothing of its statements (PERFTUI_SQL_TEXT=off), and a plan would",
                "start it without PERFTUI_SQL_TEXT=off",
            )
        shape = self._shape_of(fingerprint)
        name = printable(fingerprint, 40)
        if shape is None:
            raise CannotExplainError(
                f"this worker knows no statement {name}",
                "their fingerprints: perftui snapshot --json, under queries",
            )
        if shape.kind != "sql" or shape.verb not in _PLANNED:
            raise CannotExplainError(f"{shape.shown[:60]} is no query: a database has no plan for it")
        run = shape.slowest
        if run is None:
            raise CannotExplainError(
                f"of statement {name} no run is kept: its text or its values are too large, or of kinds that "
                "perftui does not hold on to",
                "run it by hand with EXPLAIN",
            )
        engine = run.engine()
        if engine is None:
            raise CannotExplainError(
                f"the engine that ran statement {name} is gone", "ask again when it has run"
            )
        return shape, run, engine

    async def _asked(self, run: KeptRun, engine: Any, why: str) -> Explained:
        for tries in range(BUSY_TRIES):
            try:
                return await self._own.over(engine, _explaining(run), seconds=SECONDS, why=why)
            except CannotAskError as error:
                if "is open still" not in error.reason or tries == BUSY_TRIES - 1:
                    raise CannotExplainError(error.reason, error.advice) from None
            await asyncio.sleep(BUSY_AGAIN_S)
        raise AssertionError("the last try has raised")

    def _remembered(self, shape: Shape, explained: Explained, taken_at: int) -> PlanNote:
        before = self._known.pop(shape.fingerprint, None)
        changed, changed_at = ("", 0) if before is None else (before.note.changed, before.note.changed_at)
        is_another = before is not None and before.signature != explained.signature
        if before is not None and is_another:
            changed, changed_at = _difference(before.signature, explained.signature), taken_at
        note = PlanNote(
            fingerprint=shape.fingerprint,
            taken_at=taken_at,
            database=shape.database,
            kind=explained.kind,
            verdicts=tuple(_verdicts(explained)[:NOTED_VERDICTS]),
            missing=tuple(_missing(explained)),
            changed=changed,
            changed_at=changed_at,
        )
        if len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[shape.fingerprint] = Known(explained.signature, note)
        if is_another:
            self._changed(note, shape)
        return note


def _explaining(run: KeptRun) -> Callable[[Ask], Explained]:
    """Return what explains a run on a connection of ours."""

    def explain(ask: Ask) -> Explained:
        text = one_statement(run.text)
        try:
            if ask.kind == "postgresql":
                return explain_postgresql(ask, text, run.parameters)
            return explain_sqlite(ask, text, run.parameters)
        except CannotExplainError:
            raise
        except AskError as error:
            said = f" (SQLSTATE {error.code})" if error.code else ""
            raise CannotExplainError(
                f"the database could not plan it{said}", "run it by hand with EXPLAIN"
            ) from None
        except Exception as error:  # noqa: BLE001 - what it says may quote a value
            raise CannotExplainError(f"its plan could not be read: {type(error).__name__}") from None

    return explain


def one_statement(text: str) -> str:
    """Return a text without the sign at its end; `CannotExplainError` for several, or what can't be read.

    Of several that go to the server at once EXPLAIN is for the first alone: the others would be done.
    """
    tokens = tokens_of(text)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    first = next((token.word for token in tokens if token.word != "("), "")
    if not tokens or any(token.text == ";" for token in tokens) or first not in _PLANNED:
        raise CannotExplainError("this is not one query that perftui can read", "run it by hand with EXPLAIN")
    rest = text[tokens[-1].end :].strip().strip(";").strip()
    if rest and not rest.startswith(("--", "/*")):
        raise CannotExplainError("this is not one query that perftui can read", "run it by hand with EXPLAIN")
    return text[: tokens[-1].end]


def _verdicts(explained: Explained) -> list[Verdict]:
    return [
        Verdict(
            kind=each.kind,
            table=printable(each.table, 200),
            columns=tuple(printable(column, 200) for column in each.columns),
            sentence=printable(each.sentence, MOST_LINE),
        )
        for each in explained.verdicts
    ]


def _missing(explained: Explained) -> list[MissingIndex]:
    return [
        MissingIndex(
            table=printable(each.table, 200),
            columns=tuple(printable(column, 200) for column in each.columns),
            create=printable(each.create, 1_000),
            checked=each.checked,
        )
        for each in explained.wanted
    ]


def _difference(before: str, after: str) -> str:
    """Say which steps of a plan have gone and which have come."""
    was, now = before.split(" / "), after.split(" / ")
    gone = [step for step in was if step not in now]
    come = [step for step in now if step not in was]
    if not gone and not come:
        return "the same steps in another order"
    return printable(f"{'; '.join(gone[:3]) or 'nothing'} → {'; '.join(come[:3]) or 'nothing'}", MOST_LINE)
