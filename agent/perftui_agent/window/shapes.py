"""What makes a million texts of statements a few hundred rows: their shapes, each known by a fingerprint.

All of it runs on the agent's thread. The app's threads only look into `ShapeTable.texts`, by the text's
hash: no text is kept alive by it.
"""

from __future__ import annotations

import hashlib
import weakref
from typing import Any

from perftui_agent.records import Shape, StatementText
from perftui_agent.window.folding import fold

MAX_SHAPES = 500
"""Distinct shapes in a worker's life; further ones share `(other)`."""

MAX_TEXTS = 2_048
"""Texts whose shape is remembered, in each of two generations: the older one is forgotten at a time."""

MAX_SHAPE_CHARACTERS = 2_000

OTHER_SHAPES = "(other)"


class ShapeTable:
    """The shapes of this worker's statements, and which texts have them."""

    def __init__(self) -> None:
        self.texts: dict[int, StatementText] = {}
        """By `hash(text)`; read on the app's threads, written on the agent's."""
        self.show_text = True
        """False with `PERFTUI_SQL_TEXT=off`: of a statement only the verb leaves the process."""
        self._older: dict[int, StatementText] = {}
        self._shapes: dict[str, Shape] = {}
        self._other = Shape(OTHER_SHAPES, "", OTHER_SHAPES)

    def shape(self, fingerprint: str) -> Shape | None:
        """Return the shape that was given out under this fingerprint."""
        return self._shapes.get(fingerprint)

    def know(self, key: int, text: str, engine: Any = None, database: str = "") -> StatementText:
        """Return what is known of a text, and have the app's threads find it from now on.

        `key` is the hash of the whole text, of which `text` is what was kept (`kept_of`); `engine` the
        SQLAlchemy engine that ran it: it is remembered weakly.
        """
        known = self.texts.get(key) or self._older.get(key) or self._read(text, engine, database)
        if len(self.texts) >= MAX_TEXTS:
            self._older = dict(self.texts)
            self.texts.clear()
        self.texts[key] = known
        return known

    def clear(self) -> None:
        """Forget everything."""
        self.texts.clear()
        self._older.clear()
        self._shapes.clear()

    def _read(self, text: str, engine: Any, database: str) -> StatementText:
        folded, verb, longest = fold(text, quotes_names=_quotes_names(engine))
        fingerprint = hashlib.blake2b(folded.encode(errors="replace"), digest_size=8).hexdigest()
        shape = self._shapes.get(fingerprint)
        if shape is None:
            if len(self._shapes) >= MAX_SHAPES:
                shape = self._other
            else:
                shape = Shape(fingerprint, verb, _cut(folded) if self.show_text else verb, text, database)
                shape.engine = weakref.ref(engine) if engine is not None else None
                self._shapes[fingerprint] = shape
        return StatementText(shape, compared=verb == "SELECT", many=longest > 1)


def _cut(shape: str) -> str:
    return shape if len(shape) <= MAX_SHAPE_CHARACTERS else f"{shape[: MAX_SHAPE_CHARACTERS - 1]}…"


def _quotes_names(engine: Any) -> bool:
    """Say whether `"…"` is a name to this engine's database."""
    try:
        return bool(engine.dialect.identifier_preparer.initial_quote != "`")
    except AttributeError:
        return True
