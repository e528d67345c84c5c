"""A filter while it is being typed: what is understood of it so far is in force, the rest is told calmly.

The word at hand is unfinished until a space follows it or the line is kept. As long as it isn't understood,
may still become a name (`rou`), or would leave nothing of what it speaks about (`p95<2` on its way to
`p95<200ms`), the words before it are in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from perftui.model.figures import FIGURES, Row
from perftui.model.filter import EVERYTHING, NAMES, WORD, Filter, FilterError, parse_filter
from perftui.record import Record

MOST_NAMES = 4


class Draft(Record, frozen=True):
    """A line as it has been typed."""

    text: str = ""
    wanted: Filter = EVERYTHING
    """What is in force."""
    problem: str = ""
    """Why that is not all of the line: which word, and what about it."""

    def typed(self, text: str, rows: Callable[[], Iterable[Sequence[Row]]]) -> Draft:
        """Return it with another line; `rows` are those of the tables in sight, table by table."""
        words = list(WORD.finditer(text))
        at_hand = words.pop() if words and words[-1].end() == len(text) else None
        begun = text[: at_hand.start()] if at_hand else text
        try:
            before = parse_filter(begun.strip())
        except FilterError as error:
            return Draft(text, self.wanted, error.brief)
        if at_hand is None:
            return Draft(text, before)
        word = at_hand[0]
        if problem := _may_become(word):
            return Draft(text, before, problem)
        try:
            wanted = parse_filter(text.strip())
        except FilterError as error:
            return Draft(text, before, error.brief)
        if _empties(before, wanted, rows()):
            return Draft(text, before, f"{word}: nothing here meets that")
        return Draft(text, wanted)

    def kept(self) -> Draft:
        """Return it with the last word finished: in force as far as it is understood."""
        try:
            return Draft(self.text, parse_filter(self.text.strip()))
        except FilterError as error:
            return Draft(self.text, self.wanted, error.brief)


def _may_become(word: str) -> str:
    """Return what a word may go on to; empty if it is more than a beginning."""
    if word == "-":
        return "-: before a word it leaves out what meets it"
    begun = word.removeprefix("-").casefold()
    names = [name for name in NAMES if name.startswith(begun) and name != begun]
    if begun in FIGURES:
        names.insert(0, f"{begun}>{FIGURES[begun].unit.example}")
    if not names:
        return ""
    more = " …" if len(names) > MOST_NAMES else ""
    return f"{word}: go on to {', '.join(names[:MOST_NAMES])}{more}; ⏎ for this text"


def _empties(before: Filter, wanted: Filter, tables: Iterable[Sequence[Row]]) -> bool:
    """Tell whether nothing is left of the tables that a word takes rows from."""
    left = [(len(before.of(rows)), len(wanted.of(rows))) for rows in tables]
    touched = [now for then, now in left if now < then]
    return bool(touched) and not any(touched)
