"""Two texts of one outline have one shape: reading one of them is enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui_agent.window.folding import fold
from perftui_agent.window.outline import outline_of

PIECES = st.sampled_from(
    [
        "SELECT a",
        " FROM t",
        " WHERE b = ",
        " AND ",
        "'x'",
        "'it''s'",
        "'",
        '"',
        "5",
        "1.5e3",
        "-7",
        " (",
        ")",
        "IN (1, 2)",
        "--c\n",
        "/* 'k' */",
        "$1",
        "$$",
        ":1",
        "?",
        "\\",
        "`",
        "[",
        "q'[",
        ", ",
        "E'",
        "0x1F",
        "t1",
        "12a",
        "a.5",
        "_7",
    ]
)


def test_what_differs_in_its_literals_alone_has_one_outline() -> None:
    """Numbers and texts; names with numbers in them are others."""
    assert outline_of("SELECT a FROM t1 WHERE b = 7 AND c = 'x y'") == outline_of(
        "SELECT a FROM t1 WHERE b = 1234 AND c = ''"
    )
    assert outline_of("SELECT a FROM t1") != outline_of("SELECT a FROM t2")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 -- it's",
        "SELECT /* ' */ 1",
        'SELECT "it\'s" FROM t',
        "SELECT E'\\'' FROM t",
        "SELECT q'[it's]' FROM dual",
        "SELECT $$it's$$",
        "SELECT 'it''s'",
    ],
)
def test_where_a_quote_may_be_something_else_a_text_is_its_own_outline(text: str) -> None:
    """It is read as a whole instead."""
    assert outline_of(text) == text


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, max_size=12).map("".join))
def test_one_outline_means_one_shape(one: str, other: str) -> None:
    """Whatever the texts are made of: also those that no database would take."""
    for text in (one, other):
        folded = outline_of(text)
        assert fold(folded)[::2] == fold(text)[::2] or folded == text
    if outline_of(one) == outline_of(other):
        assert fold(one) == fold(other)
