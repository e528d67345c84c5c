"""What the terminal already shows is not sent again.

Textual repaints a changed region from the left edge of its widget, each piece of text with its full
colours and a reset. Over ssh that is most of the traffic of a live dashboard. The painter remembers
every cell it has sent and sends only those that differ, with the shortest change of colour between
them: one digit that ticks costs about a dozen bytes.

It relies on two of Textual's inner classes (`Compositor` and its two updates); nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.strip import Strip

from perftui.widgets.ink import PLAIN, SURE, Drawn, Ink, as_ascii, cells_of, marks_blanks

_GAP = 4
"""As many unchanged cells are sent again rather than jumped over."""


class Painter:
    """Remembers what the terminal shows and turns a new picture into the bytes that differ."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        self.bytes_sent = 0
        self._ascii_only = ascii_only
        self._shown: dict[int, list[Drawn | None]] = {}
        self._width = 0

    def forget(self) -> None:
        """Assume nothing of what the terminal shows: the next picture is sent whole."""
        self._shown.clear()

    def paint(self, spans: Iterable[tuple[int, int, list[Drawn]]], width: int) -> str:
        """Return the text that brings (y, x, cells) on to a screen of `width` cells."""
        if width != self._width:
            self.forget()
            self._width = width
        pen = _Pen(width)
        # Those that begin in the same colour one after the other: colours were most of the bytes.
        for run in sorted(self._runs(spans, width), key=_ink_first):
            pen.go(run.y, run.x)
            for drawn in run.cells:
                pen.put(drawn)
        text = pen.lift()
        self.bytes_sent += len(text.encode("utf-8", "replace"))
        return text

    def _runs(self, spans: Iterable[tuple[int, int, list[Drawn]]], width: int) -> Iterator[_Run]:
        """Yield what differs from what is shown, and take it for shown."""
        for y, x, cells in spans:
            if self._ascii_only:
                cells = [Drawn(as_ascii(drawn.text), drawn.ink) for drawn in cells]
            line = self._shown.setdefault(y, [None] * width)
            for start, end in _changes(line, x, cells):
                yield _Run(y, x + start, cells[start:end])
            line[x : x + len(cells)] = cells


class _Run(NamedTuple):
    """Cells side by side, from the column `x` of the line `y` on."""

    y: int
    x: int
    cells: list[Drawn]


def _ink_first(run: _Run) -> tuple[Ink, int, int]:
    """Return what runs are ordered by: the ink a run begins with, blanks aside, then its place."""
    return next((each.ink for each in run.cells if each.text != " "), run.cells[0].ink), run.y, run.x


def _changes(line: list[Drawn | None], x: int, cells: list[Drawn]) -> Iterator[tuple[int, int]]:
    """Yield the stretches [start, end) of `cells` to send; a short gap between two is sent too."""
    start = end = -1
    for place, drawn in enumerate(cells):
        if x + place < len(line) and line[x + place] != drawn:
            if start >= 0 and place - end > _GAP:
                yield _whole(cells, start, end)
                start = place
            elif start < 0:
                start = place
            end = place + 1
    if start >= 0:
        yield _whole(cells, start, end)


def _whole(cells: list[Drawn], start: int, end: int) -> tuple[int, int]:
    """Widen a stretch so that no wide character is cut in two."""
    while start > 0 and not cells[start].text:
        start -= 1
    while end < len(cells) and not cells[end].text:
        end += 1
    return start, end


class _Pen:
    """Writes cells one after the other, moving and changing colour only where needed."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._parts: list[str] = []
        self._at = (-1, -1)
        self._ink = PLAIN

    def go(self, y: int, x: int) -> None:
        if self._at == (y, x):
            return
        # From behind the last column there is no way on: terminals disagree on where that is.
        near = _step(y - self._at[0], x - self._at[1]) if 0 <= self._at[1] < self._width else ""
        far = f"\x1b[{y + 1};{x + 1}H"
        self._parts.append(near if near and len(near) <= len(far) else far)
        self._at = (y, x)

    def put(self, drawn: Drawn) -> None:
        if not drawn.text:
            return
        self._parts.append(_change(self._ink, drawn.ink, drawn.text == " "))
        self._parts.append(drawn.text)
        self._ink = _after(self._ink, drawn.ink, drawn.text == " ")
        y, x = self._at
        self._at = (y, x + 1)
        if drawn.text not in SURE:
            # Terminals disagree on the widths of emoji and accents: say where the next cell is.
            self._at = (y, x + max(cell_len(drawn.text), 1))
            self._parts.append(f"\x1b[{y + 1};{self._at[1] + 1}H")

    def lift(self) -> str:
        if self._ink != PLAIN:
            self._parts.append("\x1b[0m")
        return "".join(self._parts)


@lru_cache(4096)
def _step(down: int, right: int) -> str:
    """Return the sequences that move the cursor by so much: digits of a column stand close to each other."""
    vertical = _moved(down, "B") if down >= 0 else _moved(-down, "A")
    return vertical + (_moved(right, "C") if right >= 0 else min("\b" * -right, _moved(-right, "D"), key=len))


def _moved(by: int, where: str) -> str:
    return f"\x1b[{by if by > 1 else ''}{where}" if by else ""


@lru_cache(4096)
def _change(before: Ink, after: Ink, blank: bool) -> str:
    """Return the shortest SGR sequence that turns one ink into another; a blank has no front."""
    after = _after(before, after, blank)
    if before == after:
        return ""
    codes = list(_switches(before.attributes, after.attributes))
    if before.front != after.front:
        codes.append(after.front or "39")
    if before.back != after.back:
        codes.append(after.back or "49")
    changed = ";".join(codes)
    if before.attributes == after.attributes:
        return f"\x1b[{changed}m"
    anew = ";".join(filter(None, ("0", after.attributes, after.front, after.back)))
    return f"\x1b[{min(changed, '' if anew == '0' else anew, key=len)}m"


_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "7": "27", "9": "29"}
"""What ends an attribute; bold and dim end together."""


def _switches(before: str, after: str) -> Iterator[str]:
    """Yield the codes that turn some attributes into others."""
    was, will = set(filter(None, before.split(";"))), set(filter(None, after.split(";")))
    ends = sorted({_OFF[code] for code in was - will})
    yield from ends
    yield from sorted(code for code in will if code not in was or _OFF[code] in ends)


def _after(before: Ink, after: Ink, blank: bool) -> Ink:
    """Return the ink in hand after a cell: over a blank any front colour and boldness will do."""
    if blank and not marks_blanks(after.attributes) and not marks_blanks(before.attributes):
        return Ink(before.attributes, before.front, after.back)
    return after


class _Whole(LayoutUpdate):
    """A whole screen: only what differs from the terminal's is written."""

    painter: Painter

    def render_segments(self, console: Console) -> str:
        system = console._color_system
        x, y, width, _ = self.region
        spans = ((y + row, x, cells_of(Strip.join(strips), system)) for row, strips in enumerate(self.strips))
        return self.painter.paint(spans, x + width)


class _Parts(ChopsUpdate):
    """Some lines of the screen: only what differs from the terminal's is written."""

    painter: Painter
    width: int

    def render_segments(self, console: Console) -> str:
        return self.painter.paint(self._spans(console._color_system), self.width)

    def _spans(self, system: ColorSystem | None) -> Iterator[tuple[int, int, list[Drawn]]]:
        for y in dict.fromkeys(y for y, _, _ in self.spans):
            for x, strip in self.chops[y].items():
                if strip is not None:
                    yield y, x, cells_of(strip, system)


class ThriftyCompositor(Compositor):
    """Textual's compositor, whose updates go through a painter."""

    def __init__(self, painter: Painter) -> None:
        super().__init__()
        self._painter = painter

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        """Return the whole screen; as Textual makes it when it is for a picture file."""
        update = super().render_full_update(simplify)
        if simplify:
            return update
        whole = _Whole(update.strips, update.region)
        whole.painter = self._painter
        return whole

    def render_partial_update(self) -> ChopsUpdate | None:
        """Return the lines that may have changed, None if there are none."""
        update = super().render_partial_update()
        if update is None:
            return None
        parts = _Parts(update.chops, update.spans, update.chop_ends)
        parts.painter, parts.width = self._painter, self.size.width
        return parts
