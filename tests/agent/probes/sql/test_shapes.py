"""What is left of a statement when its values are gone."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import perftui_agent
from perftui_agent.records import KEPT_CHARACTERS, kept_of
from perftui_agent.window.folding import fold
from perftui_agent.window.shapes import (
    MAX_SHAPE_CHARACTERS,
    MAX_TEXTS,
    ShapeTable,
)
from perftui_agent.window.values import Quotes

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
    'SELECT "o"."a" FROM "order" AS "o" WHERE "o".a = "u".b': (
        'SELECT "o"."a" FROM "order" AS "o" WHERE "o".a = "u".b'
    ),
    'SELECT * FROM t WHERE name = "alice"': "SELECT * FROM t WHERE name = ?",
    "SELECT a WHERE b->>'key' = ? AND b ?| ARRAY['a']": "SELECT a WHERE b->>? = ? AND b ?| ARRAY[…]",
    "SELECT $tag$ it's $tag$, $$x$$": "SELECT ?, ?",
    "RELEASE SAVEPOINT sa_savepoint_12": "RELEASE SAVEPOINT sa_savepoint_?",
    "SELECT a[1:2], b::timestamp(3) FROM t": "SELECT a[?:?], b::timestamp(?) FROM t",
    "SELECT E'\\\\', N'x'": "SELECT ?, ?",
    "SELECT a FROM t WHERE b = ?1 AND c = ?12": "SELECT a FROM t WHERE b = ? AND c = ?",
    "SELECT 1_000, .5e-3, 1.e5, 0b11, 0xdead_beef": "SELECT ?, ?, ?, ?, ?",
    "UPDATE jobs SET execute = 1 WHERE exec = 5": "UPDATE jobs SET execute = ? WHERE exec = ?",
    "CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()": (
        "CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()"
    ),
    "GRANT EXECUTE ON FUNCTION f TO app": "GRANT EXECUTE ON FUNCTION f TO app",
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
        "SELECT 1 /* a /* b */ mail secret */ FROM t",
        "SELECT 1 -- it's\rWHERE a = 'x\nsecret y'",
        "SELECT '''it's secret''' FROM t",
        'SELECT a FROM t WHERE b = """it"s secret"""',
        "SELECT 1 # it's secret\n, 'x'",
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


DIALECTS: tuple[Quotes, ...] = ("names", "unsure", "mysql", "brackets")

NAMES = [
    'SELECT "User"."Id", u."Mail" AS "m x" FROM "public"."User" u',
    'SELECT "order"."group" FROM "order" JOIN "user" ON "user"."id" = "order"."user"',
    'INSERT INTO "order" ("user") VALUES (…) ON CONFLICT ("user") DO UPDATE SET "group" = excluded."group"',
    'UPDATE "order" SET "user"=?, "group"=? WHERE "order"."id" = ?',
    'DELETE FROM "order" WHERE "order"."id" = ?',
    'CREATE TABLE IF NOT EXISTS "t" ("a" INTEGER NOT NULL, PRIMARY KEY ("a"))',
    'CREATE TABLE "t" ("a" INTEGER, FOREIGN KEY("a") REFERENCES "u" ("b"))',
    'CREATE UNIQUE INDEX "i" ON "t" ("a", "b")',
    "SELECT `User`.`Id`, [User].[Full Name] FROM `User`",
]


@pytest.mark.parametrize("text", NAMES)
@pytest.mark.parametrize("quotes", DIALECTS)
def test_names_in_quotes_stay(text: str, quotes: Quotes) -> None:
    """Where no value can stand, `"…"` is a name to every database."""
    assert fold(text, quotes)[0] == text


def test_names_that_stand_alone() -> None:
    """They stay where the database takes `"…"` for nothing else."""
    text = 'SELECT "Id" FROM "User" ORDER BY "Id"'
    assert fold(text, "names")[0] == text
    assert fold(text, "unsure")[0] == 'SELECT ? FROM "User" ORDER BY ?'


SECRET = "s3cret7"

FORMS = """
SELECT * FROM u WHERE mail BETWEEN # AND #
SELECT * FROM u WHERE mail = # OR # = mail OR mail <> # AND mail IS NOT #
SELECT * FROM u WHERE mail IS NOT DISTINCT FROM #
SELECT * FROM u WHERE mail IN (#, #) AND (a, b) IN ((#, #)) AND (a, b) = (#, #)
SELECT * FROM u WHERE mail LIKE # ESCAPE # OR a GLOB # OR a MATCH # OR a REGEXP #
SELECT * FROM u WHERE a -> # = b ->> #
SELECT coalesce(nick, #), iif(a, #, #), upper(#) FROM u
SELECT nick || #, # || nick, #
SELECT #, a AS b FROM u ORDER BY # LIMIT #
SELECT CASE a WHEN # THEN # ELSE # END AS x, CAST(# AS TEXT) FROM u GROUP BY a HAVING max(b) > #
SELECT TRIM(LEADING # FROM #), SUBSTRING(# FROM 1), EXTRACT(DAY FROM #)
SELECT a FROM t JOIN s ON # = a AND f(#) AND g(a, #)
SELECT a COLLATE NOCASE = # FROM (SELECT # UNION SELECT #) AS x
WITH x AS (SELECT #), y (a) AS (VALUES (#)) SELECT * FROM x
INSERT INTO u VALUES (1, #), (2, #)
INSERT INTO u VALUE (#)
INSERT INTO u (a, b) SELECT #, # RETURNING # AS x
INSERT INTO u (a) VALUES (#) ON CONFLICT (a) DO UPDATE SET a = # || # WHERE b = #
UPDATE u SET nick = upper(#), b = # WHERE # = c OR d IN (#)
UPDATE u SET a = 1 ORDER BY #, # = b
DELETE FROM u WHERE a = # AND b NOT LIKE #
SELECT strftime(#, #) FROM u WHERE d > date(#)
CREATE TABLE t (a TEXT DEFAULT #, b INT CHECK (b IN (#, #)), c ENUM(#, #))
CREATE INDEX i ON t (lower(#)) WHERE a = #
CREATE VIEW v AS SELECT a FROM b JOIN c ON f(#)
CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET a = #; END
PRAGMA key = #
PRAGMA key(#)
ATTACH DATABASE # AS x KEY #
SET x = #
SET SESSION y TO #
ALTER USER app IDENTIFIED BY #
ALTER USER app IDENTIFIED WITH mysql_native_password AS #
CREATE USER app PASSWORD #
CREATE ROLE app WITH LOGIN PASSWORD = #
GRANT ALL ON a.* TO app IDENTIFIED BY #
CREATE DATABASE LINK l CONNECT TO app IDENTIFIED BY # USING 'x'
COPY t FROM # CREDENTIALS #
CREATE SUBSCRIPTION s CONNECTION # PUBLICATION p
EXEC sp_addlogin app, #
EXPLAIN QUERY PLAN SELECT * FROM u WHERE mail = #
SELECT 1 /* # */ + 1 -- #
VACUUM main INTO #
CREATE INDEX i ON t (a, # || b)
SET ROLE #
SET SESSION AUTHORIZATION #
ALTER ROLE app SET app.user TO #
EXPLAIN EXECUTE p (#)
INSERT INTO t EXEC sp_x #
SELECT 1; ALTER USER app IDENTIFIED BY #
BEGIN; SET LOCAL app.user TO #; SELECT 1
INSERT INTO t VALUES (1); PRAGMA key=#
SET NOCOUNT ON; EXEC sp_addlogin app, #
SET NOCOUNT ON EXEC @r = dbo.sp_x #, @a = #
""".strip().split("\n")
"""Statements with values at each #."""

BARE = re.compile(
    r"PRAGMA|ATTACH|SET|ALTER|CREATE (USER|ROLE|DATABASE)|GRANT|EXEC|EXPLAIN EXEC|INSERT INTO t EXEC|.*; "
)
"""Statements that take a bare word for a value."""

VALUES: dict[str, Callable[[str], str]] = {
    "text": lambda value: "'" + value.replace("'", "''") + "'",
    "national": lambda value: "N'" + value.replace("'", "''") + "'",
    "escaped": lambda value: "E'" + value.replace("'", "''") + "'",
    "introduced": lambda value: "_utf8'" + value.replace("'", "''") + "'",
    "unicode": lambda value: "U&'" + value.replace("'", "''") + "'",
    "dollars": lambda value: f"$tag${value}$tag$",
    "brackets": lambda value: f"q'[{value}]'",
    "delimiters": lambda value: f"Nq'!{value}!'",
    "double quotes": lambda value: '"' + value.replace('"', '""') + '"',
}

PLANTED = st.text(st.sampled_from("ab .,;:@-_é0\"'"), max_size=12).map(lambda text: f"{SECRET}{text}{SECRET}")


@pytest.mark.parametrize("quotes", DIALECTS)
@pytest.mark.parametrize("kind", VALUES)
@given(value=PLANTED)
@settings(max_examples=15, deadline=None)
def test_no_planted_value_survives(quotes: Quotes, kind: str, value: str) -> None:
    """Whatever the form of a value, wherever it stands: nothing of it is in the shape."""
    if kind == "double quotes" and quotes == "names":
        return  # a name by definition
    for form in FORMS:
        shape = fold(form.replace("#", VALUES[kind](value)), quotes)[0]
        assert SECRET not in shape, (form, shape)


@pytest.mark.parametrize("quotes", DIALECTS)
def test_no_bare_word_survives_where_it_is_a_value(quotes: Quotes) -> None:
    """Passwords and settings may stand without any quotes."""
    for form in FORMS:
        if BARE.match(form):
            shape = fold(form.replace("#", SECRET), quotes)[0]
            assert SECRET not in shape, (form, shape)


@pytest.mark.parametrize("name", ["Customer's Name", "a-b's]]'s", "100%", 'x"y'])
def test_names_in_brackets(name: str) -> None:
    """To SQLite and SQL Server whatever is in brackets is a name: a quote in it begins no text."""
    shape = fold(f"SELECT [{name}], a FROM [dbo].[{name}] WHERE x = '{SECRET}' AND y = 'b'", "brackets")[0]
    assert shape == f"SELECT [{name}], a FROM [dbo].[{name}] WHERE x = ? AND y = ?"


def test_comments_of_mysql() -> None:
    """There `#` begins one; elsewhere it is an operator."""
    assert fold("SELECT 1 # secret\n, 2", "mysql")[0] == "SELECT ? , ?"
    assert fold("SELECT a #> b, c # d", "names")[0] == "SELECT a #> b, c # d"


def test_backslashes_before_a_double_quote() -> None:
    """Whether that ends the text depends on the database: what follows is not shown."""
    for quotes in DIALECTS:
        assert "secret" not in fold('SELECT * FROM t WHERE a = "x\\" secret" AND b = 5', quotes)[0]


def test_the_patterns_work_on_the_first_releases_of_python_311() -> None:
    """Before 3.11.5 possessive quantifiers mismatch: the agent has none."""
    files = Path(perftui_agent.__file__).parent.rglob("*.py")
    found = [file.name for file in files if re.search(r"[\w\])}*+?][*+?}]\+", _patterns_of(file))]
    assert found == []


def _patterns_of(file: Path) -> str:
    """Return the raw strings of a file, which is how patterns are written."""
    tokens = tokenize.generate_tokens(iter(file.read_text().splitlines(keepends=True)).__next__)
    return "\n".join(token.string for token in tokens if token.string.startswith(("r'", 'r"', "rf")))


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
    assert fold(text, "brackets")[0] == "SELECT x FROM t WHERE a = ? AND b IN (…) AND c > ? LIMIT ?"


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
