"""Lines to scroll through, and a cursor that goes from one that leads somewhere to the next.

`python -m perftui.widgets.evidence` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.message import Message

from perftui.present.text.cells import Cell, Line, filled, fit_line, spread, width_of
from perftui.present.text.evidence import Row, Subject
from perftui.widgets.bindings import bindings
from perftui.widgets.clicks import ClickedLines


class SubjectOpened(Message):
    """What a line is about is to be opened."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.subject = subject


class EvidenceLines(ClickedLines, can_focus=True, inherit_bindings=False):
    """Rows drawn by a function of the size; ⏎ tells which subject is to be opened."""

    BINDINGS = bindings("rows")

    def __init__(
        self, drawing: Callable[[int, int], Sequence[Row]], name: str, *, strip: bool = False
    ) -> None:
        super().__init__(name)
        self._drawing = drawing
        self._strip = strip
        """A few rows of a larger picture: no cursor without the focus, and what is left out is counted."""
        self._rows: Sequence[Row] = ()
        self._first = 0
        self._place: int | None = None
        self._subject: Subject | None = None
        self._moved = False
        self._g_pending = False

    @property
    def pointed(self) -> Subject | None:
        """What the line under the cursor leads to."""
        return self._subject

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the lines in sight."""
        self._rows = self._drawing(width, height)
        self._follow(height)
        lines = [row.line for row in self._rows[self._first : self._first + height]]
        below = len(self._rows) - self._first - height
        if below > 0:
            lines[-1] = self._cut_off(lines[-1], below, width)
        place = self.cursor_line()
        if place is not None and place < len(lines):
            lines[place] = _with_cursor(lines[place])
        return lines

    def _cut_off(self, last: Line, below: int, width: int) -> Line:
        """Return the last line in sight, which says how many there are below it."""
        if self._strip or self._place == self._first + self.size.height - 1:
            more: Line = (Cell(f"  + {below} more ", "dim"),)
            return spread(fit_line(last, width - width_of(more) - 1), more, width)
        return filled((Cell(f"  ↓ {below + 1} more lines", "dim"),), width)

    def cursor_line(self) -> int | None:
        """Return the line of the cursor, if it is in sight."""
        if self._place is None or not self.has_focus:
            return None
        line = self._place - self._first
        return line if 0 <= line < self.size.height else None

    def _links(self) -> list[int]:
        return [place for place, row in enumerate(self._rows) if row.subject is not None]

    def _follow(self, height: int) -> None:
        """Find the row the cursor is on among rows that may be others now."""
        links = self._links()
        if not links:
            self._place = self._subject = None
        elif not self._moved or self._place is None:
            self._place = links[0]
        elif not (self._place in links and self._rows[self._place].subject == self._subject):
            same = [place for place in links if self._rows[place].subject == self._subject]
            at = self._place
            self._place = min(same or links, key=lambda place: abs(place - at))
        if self._place is not None:
            self._subject = self._rows[self._place].subject
        self._first = min(self._first, max(len(self._rows) - height, 0))

    def action_cursor(self, by: int) -> None:
        """Go to the next line that leads somewhere; where there is none in sight, scroll."""
        height = max(self.size.height, 1)
        ahead = [place for place in self._links() if self._ahead(place, by)]
        goal = (min(ahead) if by > 0 else max(ahead)) if ahead else None
        shown = range(self._first - (by < 0), self._first + height + (by > 0))
        if goal is not None and goal in shown:
            self._go(goal)
        else:
            self._scroll(by)

    def _ahead(self, place: int, by: int) -> bool:
        at = self._place
        if at is None or not self._first <= at < self._first + self.size.height:
            # The cursor is out of sight: go on from the edge one scrolls to.
            at = self._first - 1 if by > 0 else self._first + self.size.height
        return (place - at) * by > 0

    def action_page(self, by: int) -> None:
        """Go on by a screenful."""
        height = max(self.size.height - 1, 1)
        self._scroll(by * height)
        seen = [place for place in self._links() if self._first <= place < self._first + height]
        if seen:
            self._go(seen[0] if by > 0 else seen[-1])

    def action_top(self) -> None:
        """Go to the first line on the second `g`."""
        if self._g_pending:
            self._moved, self._place = False, None
            self._scroll(-len(self._rows))
        self._g_pending = not self._g_pending

    def action_bottom(self) -> None:
        """Go to the last line."""
        self._scroll(len(self._rows))
        if links := self._links():
            self._go(links[-1])

    def _go(self, place: int) -> None:
        self._moved = True
        self._place, self._subject = place, self._rows[place].subject
        height = max(self.size.height, 1)
        self._first = min(max(self._first, place - height + 1), place)
        self.repaint()

    def _scroll(self, by: int) -> None:
        most = max(len(self._rows) - max(self.size.height, 1), 0)
        self._moved = True
        self._first = min(max(self._first + by, 0), most)
        self.repaint()

    def click_line(self, line: int) -> bool:
        """Put the cursor on a line, if it leads somewhere."""
        place = self._first + line
        if place not in self._links():
            return False
        self._go(place)
        return True

    def click_again(self) -> None:
        """Open what the line is about."""
        self.action_open()

    def wheel(self, by: int) -> None:
        """Scroll."""
        self._scroll(by)

    def action_open(self) -> None:
        """Tell what is to be opened: what the line under the cursor is about."""
        if self._subject is not None and self.cursor_line() is not None:
            self.post_message(SubjectOpened(self._subject))

    def on_key(self, event: events.Key) -> None:
        """Forget a first `g` when another key follows."""
        if event.key != "g":
            self._g_pending = False


def _with_cursor(line: Line) -> Line:
    """Return a line with the cursor's sign in its first cell, which is a space."""
    first, *others = line or (Cell(" "),)
    return (Cell("›", "accent"), Cell(first.text[1:], first.style), *others)


if __name__ == "__main__":
    from perftui.widgets.stage import show

    show(
        EvidenceLines(
            lambda *_: [
                Row((Cell(f"   line {number}"),), Subject("route", str(number)) if number % 3 == 0 else None)
                for number in range(60)
            ],
            "rows",
        )
    )
