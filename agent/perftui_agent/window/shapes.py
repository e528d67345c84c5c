"""What makes a million texts of statements a few hundred rows: their shapes, each known by a fingerprint.

All of it runs on the agent's thread. The app's threads only look into `ShapeTable.texts`, by the text's
hash: no text is kept alive by it.

Reading a text costs about a microsecond a character, so how much is read is bounded, too. A text that
differs in its literals alone from one that was read is known by its outline, for a tenth of that; one
that comes for the first time has a small allowance, one that comes again another: an app that never sends
the same text twice does not keep those that it sends all the time from being read.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Mapping
from typing import Any

from perftui_agent.records import CUT, Shape, StatementText
from perftui_agent.window.costs import Costs
from perftui_agent.window.folding import fold, is_transaction
from perftui_agent.window.outline import hash_of_literals, outline_of
from perftui_agent.window.values import Quotes

MAX_SHAPES = 500
"""Distinct shapes that are known at a time, and told of in a frame; the others share `(other)`."""

NEWCOMERS = 500
"""Shapes met within a frame that are known besides, until it closes."""

MAX_STEPS = 30
"""Kinds of steps of transactions that have a place of their own: `COMMIT` is cheap, and never `(other)`."""

MAX_TEXTS = 2_048
"""Texts whose shape is remembered, in each of two generations: the older one is forgotten at a time."""

MAX_MET = 4_096
"""Texts that are known to have come once, in each of two generations."""

MAX_SHAPE_CHARACTERS = 2_000

READ_AT_ONCE = 100_000
READ_A_SECOND = 5_000
"""Characters of texts that come for the first time."""

REREAD_AT_ONCE = 400_000
REREAD_A_SECOND = 10_000
"""Characters of texts that have come before; those of a service that has just started come all at once."""

OTHER_SHAPES = "(other)"

MAX_RUNS = 200
MAX_RUN_BYTES = 1_000_000
"""Slowest runs that are kept at a time, and all they hold."""


class Allowance:
    """How much may be read: so much at once, and so much more each second."""

    def __init__(self, at_once: int, a_second: int) -> None:
        self._most = self._left = at_once
        self._a_second = a_second

    def takes(self, characters: int) -> bool:
        """Take so many characters from what is left; False if nothing is."""
        if self._left <= 0:
            return False
        self._left -= characters
        return True

    def refill(self, span_ns: int) -> None:
        """Add what a span has earned."""
        self._left = min(self._most, self._left + int(self._a_second * span_ns / 1e9))


class ShapeTable:
    """The shapes of this worker's statements, and which texts have them."""

    def __init__(self) -> None:
        self.texts: dict[int, StatementText] = {}
        """By `hash(text)`; read on the app's threads, written on the agent's."""
        self.show_text = True
        """False with `PERFTUI_SQL_TEXT=off`: of a statement only the verb leaves the process."""
        self.costs: Costs[str] = Costs(MAX_SHAPES, NEWCOMERS)
        """By fingerprint."""
        self.steps: set[str] = set()
        """Fingerprints of steps of transactions that have a place of their own."""
        self.unread = 0
        """Executions of statements whose text nobody has read."""
        self._older: dict[int, StatementText] = {}
        self._outlines: dict[int, StatementText] = {}
        """By the hash of their outline."""
        self._met: set[int] = set()
        self._met_before: set[int] = set()
        """Hashes of texts that have come once."""
        self._shapes: dict[str, Shape] = {}
        self._alive: weakref.WeakValueDictionary[str, Shape] = weakref.WeakValueDictionary()
        """Every shape that anybody still holds, forgotten ones included: what comes back is the same one."""
        self._first = Allowance(READ_AT_ONCE, READ_A_SECOND)
        self._again = Allowance(REREAD_AT_ONCE, REREAD_A_SECOND)
        self._other = StatementText(Shape(OTHER_SHAPES, "", OTHER_SHAPES), compared=False, many=False)

    def shape(self, fingerprint: str) -> Shape | None:
        """Return the shape that has a place under this fingerprint."""
        return self._shapes.get(fingerprint)

    def know(self, key: int, text: str, engine: Any = None, database: str = "") -> StatementText:
        """Return what is known of a text, and have the app's threads find it from now on.

        `key` is the hash of the whole text, of which `text` is what was kept (`kept_of`); `engine` the
        SQLAlchemy engine that ran it: it is remembered weakly.
        """
        known = self.texts.get(key) or self._older.get(key)
        if known is not None:
            self._remember(key, known)
            return known
        quotes = _quotes_of(engine)
        outline = hash((outline_of(text), quotes))
        known = self._outlines.get(outline)
        if known is not None:
            known = _with_its_literals(known, text, key)
            # Of texts with literals in them, most never come again.
            if self._has_come_before(key):
                self._remember(key, known)
            return known
        allowance = self._again if self._has_come_before(key) else self._first
        if not allowance.takes(len(text)):
            self.unread += 1
            return self._other
        known = self._read(text, quotes, engine, database)
        if len(self._outlines) >= MAX_TEXTS:
            self._outlines.clear()
        self._outlines[outline] = known
        known = _with_its_literals(known, text, key)
        self._remember(key, known)
        return known

    def told(self, text: str, kind: str) -> tuple[str, str]:
        """Return the fingerprint of a text that a database of a kind has told of, and what may be shown."""
        folded, verb, _ = fold(text, _QUOTES.get(kind, "unsure"))
        return fingerprint_of(folded), _cut(folded) if self.show_text else verb

    def examples(self, database: str) -> list[str]:
        """Return an example of each statement that goes to a database."""
        return [shape.example for shape in list(self._shapes.values()) if shape.database == database]

    def take_in(self, shape: Shape) -> bool:
        """Give a shape a place, forgotten or not; False if there is none before others have been `shed`."""
        if shape.fingerprint == OTHER_SHAPES:
            return True
        if shape.kind != "sql" and (shape.fingerprint in self.steps or len(self.steps) < MAX_STEPS):
            self.steps.add(shape.fingerprint)
            self._shapes[shape.fingerprint] = shape
            return True
        if not self.costs.admit(shape.fingerprint):
            return False
        self._shapes[shape.fingerprint] = shape
        return True

    @property
    def other(self) -> Shape:
        """The shape of all that have no place."""
        return self._other.shape

    def shed(self, spent: Mapping[str, int]) -> list[str]:
        """Make room for shapes amid a span: see `Costs.shed`."""
        forgotten = self.costs.shed(spent)
        self._forget(set(forgotten))
        return forgotten

    def close(self, spent: Mapping[str, int], span_ns: int) -> list[str]:
        """Take what each shape has cost in a span; return the fingerprints that the frame has no room for."""
        untold, forgotten = self.costs.close(spent, span_ns)
        self._trim_runs()
        if forgotten:
            self._forget(set(forgotten))
        self._first.refill(span_ns)
        self._again.refill(span_ns)
        return untold

    def clear(self) -> None:
        """Forget everything."""
        for shape in self._alive.values():
            shape.slowest, shape.slowest_ns = None, 0
        for table in (self.texts, self._older, self._outlines, self._shapes):
            table.clear()
        self._met.clear()
        self._met_before.clear()
        self.costs.clear()
        self.steps.clear()
        self.unread = 0

    def _trim_runs(self) -> None:
        """Let go of the quickest of the runs that are kept, if those are too many or too large."""
        kept = [shape for shape in self._shapes.values() if shape.slowest is not None]
        if len(kept) <= MAX_RUNS // 2:
            return
        kept.sort(key=lambda shape: shape.slowest_ns, reverse=True)
        size = 0
        for place, shape in enumerate(kept):
            size += shape.slowest.bytes if shape.slowest is not None else 0
            if place >= MAX_RUNS or size > MAX_RUN_BYTES:
                shape.slowest = None

    def _remember(self, key: int, known: StatementText) -> None:
        if len(self.texts) >= MAX_TEXTS:
            self._older = dict(self.texts)
            self.texts.clear()
        self.texts[key] = known

    def _has_come_before(self, key: int) -> bool:
        """Say whether a text has come before; note that it has come now."""
        if key in self._met or key in self._met_before:
            return True
        if len(self._met) >= MAX_MET:
            self._met, self._met_before = set(), self._met
        self._met.add(key)
        return False

    def _read(self, text: str, quotes: Quotes, engine: Any, database: str) -> StatementText:
        folded, verb, longest = fold(text, quotes)
        fingerprint = fingerprint_of(folded)
        shape = self._shapes.get(fingerprint) or self._alive.get(fingerprint)
        if shape is None:
            shape = Shape(fingerprint, verb, _cut(folded) if self.show_text else verb)
            if is_transaction(folded):
                shape.kind = "transaction"
            self._alive[fingerprint] = shape
        if not shape.example:
            shape.example, shape.database = text, database
            shape.engine = weakref.ref(engine) if engine is not None else None
        return StatementText(shape, compared=verb == "SELECT", many=longest > 1)

    def _forget(self, fingerprints: set[str]) -> None:
        """Take these shapes out, and the texts that lead to them: the next one that comes is read anew."""
        for fingerprint in fingerprints:
            shape = self._shapes.pop(fingerprint, None)
            if shape is not None:
                shape.example, shape.engine = "", None
                shape.slowest, shape.slowest_ns = None, 0
        for table in (self.texts, self._older, self._outlines):
            for key in [key for key, known in table.items() if known.shape.fingerprint in fingerprints]:
                table.pop(key, None)


def fingerprint_of(folded: str) -> str:
    """Return what a shape is known by: the same in every worker."""
    return hashlib.blake2b(folded.encode(errors="replace"), digest_size=8).hexdigest()


def _with_its_literals(known: StatementText, text: str, key: int) -> StatementText:
    """Return what is known of a text by its outline, with what is its own alone."""
    literals = 0 if not known.compared else key if CUT in text else hash_of_literals(text)
    if not literals:
        return known
    return StatementText(known.shape, compared=True, many=known.many, literals=literals)


def _cut(shape: str) -> str:
    return shape if len(shape) <= MAX_SHAPE_CHARACTERS else f"{shape[: MAX_SHAPE_CHARACTERS - 1]}…"


_QUOTES: dict[str, Quotes] = {
    **dict.fromkeys(("postgresql", "oracle", "cockroachdb", "redshift", "snowflake"), "names"),
    **dict.fromkeys(("mysql", "mariadb"), "mysql"),
    **dict.fromkeys(("sqlite", "mssql"), "brackets"),
}
"""By the name of a dialect; of any other it is not sure."""


def _quotes_of(engine: Any) -> Quotes:
    """Say what `"…"` is to this engine's database."""
    return _QUOTES.get(getattr(getattr(engine, "dialect", None), "name", ""), "unsure")
