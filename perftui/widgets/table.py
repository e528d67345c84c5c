"""A table that keeps its cursor on the same row whatever the order, and repaints what changed.

Textual's DataTable repaints itself whole on every changed cell; this one gives out lines, of which
`Lines` finds those that differ. `python -m perftui.widgets.table` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from perftui.messages import RowOpened, RowPointed
from perftui.present.tables.grid import Grid, RowKey, Sort, column_at, heading_line, row_line
from perftui.present.text.cells import Cell, Line
from perftui.widgets.bindings import bindings
from perftui.widgets.clicks import ClickedLines


class Table(ClickedLines, can_focus=True, inherit_bindings=False):
    """Rows under a heading line; which rows is said by `build(width, sort, order so far)`."""

    BINDINGS = bindings("table")
    HEADINGS = 1

    def __init__(
        self,
        build: Callable[[int, Sort, Sequence[RowKey]], Grid],
        sorts: Sequence[str],
        name: str,
        *,
        descending: bool = True,
    ) -> None:
        super().__init__(name)
        self._build = build
        self._sorts = sorts
        self._sort = Sort(sorts[0], descending)
        self._grid: Grid | None = None
        self._pointed: RowKey | None = None
        self._place = 0
        self._first = 0
        self._g_pending = False
        self._touched = False

    @property
    def pointed(self) -> RowKey | None:
        """The key of the row under the cursor."""
        return self._pointed

    @property
    def order(self) -> Sequence[RowKey]:
        """The keys of all rows, as they stand."""
        return self._grid.keys if self._grid is not None else ()

    def point(self, key: RowKey) -> None:
        """Put the cursor on a row."""
        if self._grid is not None and key in self._grid.keys:
            self._move_to(self._grid.keys.index(key))

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the heading and the rows that fit."""
        before = self._grid.keys if self._grid is not None else ()
        grid = self._grid = self._build(width, self._sort, before)
        room = max(height - 1, 1)
        self._follow(grid, room)
        shown = grid.keys[self._first : self._first + room]
        style = "focus" if self.has_focus else "heading"
        lines = [heading_line(grid, self._first, len(shown), width, style)]
        lines += [row_line(grid, key, width, self._cursor_cell(key)) for key in shown]
        if not grid.keys:
            lines.append((Cell(f"   {grid.nothing}", "faint"),))
        return lines

    def cursor_line(self) -> int | None:
        """Return the line of the row under the cursor; only the focused table shows one."""
        if self._pointed is None or not self.has_focus:
            return None
        return self._place - self._first + 1

    def _cursor_cell(self, key: RowKey) -> Cell:
        if key != self._pointed:
            return Cell(" ")
        return Cell("›", "accent" if self.has_focus else "faint")

    def _follow(self, grid: Grid, room: int) -> None:
        """Find the row the cursor is on in the new order, and keep it within sight."""
        if not grid.keys:
            self._pointed, self._place, self._first = None, 0, 0
            return
        # Until somebody moves it the cursor stays on the first row, whichever that is: the worst.
        if self._touched and self._pointed in grid.keys:
            self._place = grid.keys.index(self._pointed)
        self._place = min(self._place, len(grid.keys) - 1)
        self._pointed = grid.keys[self._place]
        lowest = max(self._place - room + 1, 0)
        highest = min(self._place, max(len(grid.keys) - room, 0))
        self._first = min(max(self._first, lowest), max(highest, lowest))

    def _move_to(self, place: int) -> None:
        if self._grid is None or not self._grid.keys:
            return
        self._touched = True
        self._place = min(max(place, 0), len(self._grid.keys) - 1)
        self._pointed = self._grid.keys[self._place]
        self.repaint()
        self.post_message(RowPointed(self.id or "", self._pointed))

    def on_key(self, event: events.Key) -> None:
        """Forget a first `g` when another key follows."""
        if event.key != "g":
            self._g_pending = False

    def click_line(self, line: int) -> bool:
        """Put the cursor on a row."""
        place = self._first + line - 1
        if self._grid is None or place >= len(self._grid.keys):
            return False
        self._move_to(place)
        return True

    def click_again(self) -> None:
        """Open the row under the cursor."""
        self.action_open()

    def click_heading(self, x: int) -> None:
        """Sort by the column; the title of the table stands for its own order. Once more turns it around."""
        if self._grid is None:
            return
        by = column_at(self._grid, x)
        if by == self._grid.columns[0].key:
            by = self._sorts[0]
        if by in self._sorts:
            self._sort_by(self._sort.inverted() if by == self._sort.by else self._sort.to(by))

    def wheel(self, by: int) -> None:
        """Scroll, and keep the cursor in sight."""
        rows, room = len(self.order), max(self.size.height - 1, 1)
        self._first = min(max(self._first + by, 0), max(rows - room, 0))
        self._move_to(min(max(self._place, self._first), self._first + room - 1))

    def action_cursor(self, by: int) -> None:
        """Move the cursor by some rows."""
        self._move_to(self._place + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by whole pages."""
        self._move_to(self._place + by * max(self.size.height - 1, 1))

    def action_top(self) -> None:
        """Go to the first row on the second `g`."""
        if self._g_pending:
            self._move_to(0)
        self._g_pending = not self._g_pending

    def action_bottom(self) -> None:
        """Go to the last row."""
        self._move_to(len(self._grid.keys) - 1 if self._grid else 0)

    def action_sort(self, by: int) -> None:
        """Sort by the next or previous column."""
        self._sort_by(self._sort.step(self._sorts, by))

    def action_invert(self) -> None:
        """Turn the order around."""
        self._sort_by(self._sort.inverted())

    def _sort_by(self, sort: Sort) -> None:
        self._touched = True
        self._sort = sort
        self.repaint()

    def action_open(self) -> None:
        """Tell that the row under the cursor is to be opened."""
        if self._pointed is not None:
            self.post_message(RowOpened(self.id or "", self._pointed))


if __name__ == "__main__":
    from perftui.present.tables.grid import Column, ordered
    from perftui.widgets.stage import show

    names = {f"row {number}": float(number % 7) for number in range(60)}
    columns = (Column("name", "", 40, "left"), Column("value", "value", 12))

    show(
        Table(
            lambda _, sort, before: Grid(
                "ROWS",
                columns,
                ordered(names, sort, before),
                lambda key: (Cell(key, "name"), Cell(f"{names[key]:.0f}")),
                sort=sort,
            ),
            ("value",),
            "rows",
        )
    )
