"""What is left of a statement when its values are gone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perftui_agent.records import KEPT_CHARACTERS, kept_of
from perftui_agent.window.folding import fold
from perftui_agent.window.shapes import (
    MAX_SHAPE_CHARACTERS,
    MAX_TEXTS,
    ShapeTable,
)

SHAPES = {
    "SELECT 'it''s', 5, -5, 1.5e-3, 0x1F, NULL FROM t1": "SELECT ?, ?, ?, ?, ?, NULL FROM t1",
    "SELECT  a\n\t, b -- why\nFROM t /* trace='1' */ ;": "SELECT a , b FROM t",
    "SELECT a WHERE b = $1::INTEGER AND c = $2::UUID": "SELECT a WHERE b = ?::INTEGER AND c = ?::UUID",
    "SELECT a WHERE b = %(id_1)s::INTEGER LIMIT %(c)s": "SELECT a WHERE b = ?::INTEGER LIMIT ?",
    "SELECT * FROM t WHERE id = :id AND x = %s AND y = ?": "SELECT * FROM t WHERE id = ? AND x = ? AND y = ?",
    "SELECT * FROM t WHERE id IN (1)": "SELECT * FROM t WHERE id IN (…)",
    "SELECT a WHERE b IN ($1::INTEGER, $2::INTEGER) AND x = $3": "SELECT a WHERE b IN (…) AND x = ?",
    "SELECT * FROM t WHERE (a, b) IN ((1, 2), (3, 4))": "SELECT * FROM t WHERE (a, b) IN (…)",
    "SELECT a WHERE b IN (SELECT b FROM u WHERE x = 1)": "SELECT a WHERE b IN (SELECT b FROM u WHERE x = ?)",
    "SELECT * FROM t WHERE id = ANY (ARRAY[1, 2])": "SELECT * FROM t WHERE id = ANY (ARRAY[…])",
    "INSERT INTO t VALUES (?, now()), (?, (SELECT 1)) RETURNING id": "INSERT INTO t VALUES (…) RETURNING id",
    "INSERT INTO t (a) SELECT p0::INTEGER FROM (VALUES ($1, 0), ($2, 1)) AS s(p0, n) ORDER BY n": (
        "INSERT INTO t (a) SELECT p0::INTEGER FROM (VALUES (…)) AS s(p0, n) ORDER BY n"
    ),
    "UPDATE t SET n = n - 1 WHERE id = 7": "UPDATE t SET n = n - ? WHERE id = ?",
    'SELECT "a" FROM "order" WHERE "order".a = "u".b': 'SELECT "a" FROM "order" WHERE "order".a = "u".b',
    'SELECT * FROM t WHERE name = "alice"': "SELECT * FROM t WHERE name = ?",
    "SELECT a WHERE b->>'key' = ? AND b ?| ARRAY['a']": "SELECT a WHERE b->>? = ? AND b ?| ARRAY[…]",
    "SELECT $tag$ it's $tag$, $$x$$": "SELECT ?, ?",
    "RELEASE SAVEPOINT sa_savepoint_12": "RELEASE SAVEPOINT sa_savepoint_?",
    "SELECT a[1:2], b::timestamp(3) FROM t": "SELECT a[?:?], b::timestamp(?) FROM t",
    "SELECT E'\\\\', N'x'": "SELECT ?, ?",
    "": "",
}


@pytest.mark.parametrize("text", SHAPES)
def test_shape(text: str) -> None:
    """Values are `?`, lists `(…)`, comments are gone, whitespace is one space, casts stay."""
    assert fold(text)[0] == SHAPES[text]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM t WHERE a = 'x\\' AND b = 'secret'",
        "SELECT * FROM t WHERE a = 'secret",
        "SELECT $tag$ secret",
        "SELECT 1 /* secret",
        'SELECT * FROM t WHERE a = "secret',
        "SELECT * FROM t -- secret",
        'SELECT "a very long text that nobody would ever use as a name of anything: secret" FROM t',
    ],
)
def test_where_a_value_ends_is_unsure(text: str) -> None:
    """Where it can't be told whether a value has ended, nothing of what follows is shown."""
    assert "secret" not in fold(text)[0]


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("select 1", "SELECT"),
        ("/* c */ (SELECT 1) UNION (SELECT 2)", "SELECT"),
        ("WITH a AS (SELECT 1), b AS (DELETE FROM t) INSERT INTO u SELECT * FROM a", "INSERT"),
        ("WITH a AS (INSERT INTO t VALUES (1) RETURNING id) SELECT * FROM a", "SELECT"),
        ("PRAGMA foreign_keys", "PRAGMA"),
        ("", ""),
    ],
)
def test_verb(text: str, verb: str) -> None:
    """The verb is the first word; of a WITH it is what it leads up to."""
    assert fold(text)[1] == verb


def test_double_quotes_in_mysql() -> None:
    """Where `"…"` is a value, it is folded wherever it stands."""
    assert fold('SELECT "secret", `name` FROM t', quotes_names=False)[0] == "SELECT ?, `name` FROM t"


LITERALS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(st.characters(exclude_characters="\0\\")).map(lambda text: "'" + text.replace("'", "''") + "'"),
)


@given(st.lists(LITERALS, min_size=3, max_size=3))
@settings(max_examples=200)
def test_no_value_survives(values: list[str]) -> None:
    """Whatever the values are, a statement has the same shape."""
    a, b, c = values
    text = f"SELECT x FROM t WHERE a = {a} AND b IN ({b}, {a}) AND c > {c} LIMIT 5"
    assert fold(text)[0] == "SELECT x FROM t WHERE a = ? AND b IN (…) AND c > ? LIMIT ?"


@given(st.text(max_size=300))
@settings(max_examples=300)
def test_any_text(text: str) -> None:
    """Any text has a shape, which is not much longer than itself."""
    shape, _, _ = fold(text)
    assert len(shape) <= 2 * len(text) + 10


@given(st.integers(1, 6_000), st.sampled_from(["?", "$1::INTEGER", "%(id_1_999)s", "42"]))
@settings(max_examples=60, deadline=None)
def test_a_list_of_any_length(length: int, element: str) -> None:
    """A list so long that the text is cut has the same shape as one of a single element."""
    text = f"SELECT x FROM t WHERE (id IN ({', '.join([element] * length)}) AND y = 5) ORDER BY x"
    assert fold(kept_of(text))[0] == "SELECT x FROM t WHERE (id IN (…) AND y = ?) ORDER BY x"


@given(st.integers(1, 3_000))
@settings(max_examples=40, deadline=None)
def test_rows_of_any_number(rows: int) -> None:
    """An insert of so many rows that the text is cut has the same shape as that of one row."""
    values = ", ".join(f"(${2 * row}::INTEGER, ${2 * row + 1}::VARCHAR, {row})" for row in range(rows))
    text = f"INSERT INTO t (a, b) SELECT p0, p1 FROM (VALUES {values}) AS s(p0, p1, n) RETURNING t.id"
    expected = "INSERT INTO t (a, b) SELECT p0, p1 FROM (VALUES (…)) AS s(p0, p1, n) RETURNING t.id"
    assert fold(kept_of(text))[0] == expected


def test_a_long_text_with_values_at_its_end() -> None:
    """Of a text that is cut within a list of literal texts nothing after it is shown."""
    text = "INSERT INTO t VALUES " + ", ".join(f"('secret, {number}', 'b')" for number in range(2_000))
    assert len(text) > KEPT_CHARACTERS
    assert fold(kept_of(text))[0] == "INSERT INTO t VALUES (…) …"


def test_long_shapes() -> None:
    """A shape is no longer than its bound, and two that differ after it are still two."""
    columns = ", ".join(f"t.column_{number}" for number in range(500))
    table = ShapeTable()
    one = table.know(1, f"SELECT {columns} FROM t WHERE a = 1").shape
    two = table.know(2, f"SELECT {columns} FROM t WHERE b = 1").shape
    assert len(one.shown) == MAX_SHAPE_CHARACTERS
    assert one.shown[-1] == "…"
    assert one.fingerprint != two.fingerprint


def test_texts_are_bounded() -> None:
    """However many texts there are, a few thousand hashes are remembered, and no text."""
    table = ShapeTable()
    for number in range(5 * MAX_TEXTS):
        table.know(number, f"SELECT {number}")
    assert len(table.texts) + len(table._older) <= 2 * MAX_TEXTS
    assert len({known.shape for known in table.texts.values()}) == 1


def test_fingerprints_are_the_same_everywhere() -> None:
    """The fingerprint depends on the shape alone, so that workers can be summed up by it."""
    assert (
        ShapeTable().know(1, "SELECT 1").shape.fingerprint
        == ShapeTable().know(2, "SELECT 22").shape.fingerprint
    )
