"""Tables: columns and order."""

from __future__ import annotations

from perftui.present.tables.grid import Column, Grid, Sort, chosen_columns, heading_line, ordered, row_line
from perftui.present.text.cells import Cell, text_of, width_of

COLUMNS = (
    Column("name", "", 0, "left"),
    Column("rps", "rps", 8),
    Column("extra", "extra", 10, at_least=60),
)


def grid(width: int, *keys: str) -> Grid:
    return Grid(
        "ROWS",
        chosen_columns(COLUMNS, width),
        keys,
        lambda key: tuple([Cell(key), Cell("41.0"), Cell("x")][: len(chosen_columns(COLUMNS, width))]),
        sort=Sort("rps"),
    )


def test_ties_keep_their_places() -> None:
    """Rows whose values read the same stay where they were: the table doesn't flicker."""
    before = ("c", "a", "b")
    assert before == ordered({"a": 10.01, "b": 10.02, "c": 10.0}, Sort("rps"), before)


def test_what_reads_differently_is_in_order() -> None:
    """No row stands above another that shows a higher number."""
    assert ordered({"a": 10.0, "b": 10.2}, Sort("rps"), ("a", "b")) == ("b", "a")


def test_no_data_is_last_both_ways() -> None:
    """Rows without a value stand below the others, whichever way the rest is sorted."""
    values = {"none": None, "low": 1.0, "high": 2.0}
    assert ordered(values, Sort("p95"), ()) == ("high", "low", "none")
    assert ordered(values, Sort("p95", descending=False), ()) == ("low", "high", "none")


def test_a_column_gives_way_when_there_is_no_room() -> None:
    """A narrow table shows fewer columns instead of cut ones."""
    assert [column.key for column in chosen_columns(COLUMNS, 59)] == ["name", "rps"]
    assert [column.key for column in chosen_columns(COLUMNS, 60)] == ["name", "rps", "extra"]


def test_heading_and_rows_stand_in_the_same_columns() -> None:
    """A title ends in the cell in which its numbers end."""
    table = grid(50, "a", "b")
    heading = text_of(heading_line(table, 0, 2, 50, "heading"))
    row = text_of(row_line(table, "a", 50, Cell(" ")))
    assert heading.index("rps") + 3 == row.index("41.0") + 4
    assert 50 == len(heading) == len(row)


def test_hostile_names_leave_columns_alone() -> None:
    """Wide, right-to-left, emoji and escape characters in a name move nothing to its right."""
    names = ("x", "GET /日本語", "GET /עברית", "GET /🎉👨‍👩‍👧", "GET /\x1b[31mred", "[bold]x", "y" * 200)
    table = grid(60, *names)
    lines = [row_line(table, name, 60, Cell(" ")) for name in names]
    assert {60} == {width_of(line) for line in lines}
    assert len({width_of(line[:4]) for line in lines}) == 1


def test_the_title_tells_which_rows_are_seen() -> None:
    """When not all rows fit, the heading says which of how many."""
    heading = text_of(heading_line(grid(60, *"abcdefgh"), 2, 3, 60, "heading"))
    assert "ROWS 3–5 of 8" in heading


def test_sorting_steps_around() -> None:
    """After the last column comes the first; names go upwards at first, numbers downwards."""
    columns = ("cost", "p95", "route")
    sort = Sort("cost").step(columns, -1)
    assert Sort("route", descending=False) == sort
    assert Sort("cost") == sort.step(columns, 1)
