"""Tables of plain text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from perftui.present.documents.table import MIN_SHRUNK, Column, section, shortened, table
from perftui.present.text.cells import clean

TEXTS = st.text("abc 東京é…", max_size=60)


def test_columns_are_aligned_figures_to_the_right() -> None:
    """Each as wide as its widest cell, the heading among them; nothing hangs over at the end of a line."""
    lines = table([Column("name"), Column("n", True), Column("")], [("a", "1", ""), ("long", "1000", "x")])
    assert lines == ["name     n", "a        1", "long  1000  x"]


def test_a_table_without_rows_is_nothing() -> None:
    """And neither is the section around it."""
    assert table([Column("name")], []) == []
    assert section("names", []) == []


def test_what_is_too_long_is_shortened_in_its_middle() -> None:
    """Its beginning and its end tell most; what may not shrink stays whole."""
    columns = [Column("n", True), Column("statement", shrinks=True), Column("from")]
    statement = "SELECT id, name, price, weight FROM items WHERE id = ?"
    lines = table(columns, [("1000", statement, "crud.py:88 load")], 60)
    assert lines[1] == "1000  SELECT id, name, p…items WHERE id = ?  crud.py:88 load"
    assert max(map(len, lines)) == 60


def test_a_table_that_fits_is_left_as_it_is() -> None:
    """Width is only taken where it is missing."""
    columns = [Column("statement", shrinks=True)]
    assert table(columns, [("SELECT 1",)], 100) == table(columns, [("SELECT 1",)])


def test_no_column_shrinks_beyond_what_tells_something() -> None:
    """Then the table is wider than asked for."""
    lines = table([Column("a", shrinks=True), Column("b", shrinks=True)], [("x" * 50, "y" * 50)], 10)
    assert [len(part) for part in lines[1].split("  ")] == [MIN_SHRUNK, MIN_SHRUNK]


AWKWARD = (
    "1\ufe0f\u20e3 first",
    "❤\ufe0f",
    "ที่นี่",
    "हिन्दी",
    "e\u0301te\u0301",
    "日本語",
    "👨\u200d👩\u200d👧",
    "plain",
)
"""A keycap, a variation selector, marks of Thai and Hindi, accents apart, wide letters, joined emoji."""


def test_columns_stand_below_each_other_whatever_is_written_in_them() -> None:
    """Measured as the dashboard measures, with nothing left in that terminals take for different widths."""
    lines = table([Column("name"), Column("n", True)], [(name, "7") for name in AWKWARD])
    assert len({cell_len(line) for line in lines}) == 1
    assert not re.search("[\ufe0f\u20e3\u200d]", "".join(lines))
    assert [line.rstrip(" 7") for line in lines[1:]] == [clean(name).rstrip() for name in AWKWARD]


@given(TEXTS, st.integers(1, 60))
def test_a_shortened_text_takes_no_more_cells_than_it_may(text: str, width: int) -> None:
    """Wide characters count for two; what fits is the text itself."""
    result = shortened(text, width)
    cells = sum(2 if char in "東京" else 1 for char in result)
    assert cells <= width
    whole = sum(2 if char in "東京" else 1 for char in text)
    assert (result == text) == (whole <= width)
