"""What the terminal already shows is not sent again.

Textual repaints a changed region from the left edge of its widget, each piece of text with its full
colours and a reset. Over ssh that is most of the traffic of a live dashboard. The painter remembers
every cell it has sent and sends only those that differ, with the shortest change of colour between
them: one digit that ticks costs about a dozen bytes.

It relies on two of Textual's inner classes (`Compositor` and its two updates); nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import Color, ColorSystem, ColorType
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.strip import Strip

_GAP = 4
"""As many unchanged cells are sent again rather than jumped over."""

_SURE = frozenset(map(chr, range(32, 127))) | frozenset("▁▂▃▄▅▆▇█━╸▲△▴·✗✓●○›…–─┴⏎↑↓“”×")
"""Characters every terminal gives one cell; after any other the cursor is placed anew."""


class Ink(NamedTuple):
    """How a cell looks, as parameters of SGR; empty where it is the terminal's own."""

    attributes: str
    front: str
    back: str


class Drawn(NamedTuple):
    """One cell as it was sent; the second cell of a wide character is an empty text."""

    text: str
    ink: Ink


_PLAIN = Ink("", "", "")

_ASCII = dict(zip("▁▂▃▄▅▆▇█━╸▲△▴·✗✓●○›…–─┴⏎↑↓“”×", '__..-=##=-!?^.xv*o>~--+<^v""x', strict=True))
"""What stands for our signs and charts on a terminal that knows nothing but ASCII."""


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
        pen = _Pen()
        for y, x, cells in spans:
            if self._ascii_only:
                cells = [Drawn(_as_ascii(drawn.text), drawn.ink) for drawn in cells]
            line = self._shown.setdefault(y, [None] * width)
            for start, end in _changes(line, x, cells):
                pen.go(y, x + start)
                for drawn in cells[start:end]:
                    pen.put(drawn)
            line[x : x + len(cells)] = cells
        text = pen.lift()
        self.bytes_sent += len(text.encode("utf-8", "replace"))
        return text


def wants_ascii(environ: Mapping[str, str]) -> bool:
    """Tell whether the terminal is known not to show UTF-8: by its locale, or because it is said so."""
    if chosen := environ.get("PERFTUI_ASCII"):
        return chosen != "0"
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    charset = locale.partition(".")[2].lower().replace("-", "")
    return bool(charset) and not charset.startswith("utf8")


def _as_ascii(text: str) -> str:
    """Return one cell in ASCII; the second half of a wide character becomes a cell of its own."""
    return text if text.isascii() and text else _ASCII.get(text, "?")


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

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._at = (-1, -1)
        self._ink = _PLAIN

    def go(self, y: int, x: int) -> None:
        if self._at == (y, x):
            return
        if self._at[0] == y and x > self._at[1]:
            self._parts.append(f"\x1b[{x - self._at[1]}C")
        else:
            self._parts.append(f"\x1b[{y + 1};{x + 1}H")
        self._at = (y, x)

    def put(self, drawn: Drawn) -> None:
        if not drawn.text:
            return
        self._parts.append(_change(self._ink, drawn.ink, drawn.text == " "))
        self._parts.append(drawn.text)
        self._ink = _after(self._ink, drawn.ink, drawn.text == " ")
        y, x = self._at
        self._at = (y, x + 1)
        if drawn.text not in _SURE:
            # Terminals disagree on the widths of emoji and accents: say where the next cell is.
            self._at = (y, x + max(cell_len(drawn.text), 1))
            self._parts.append(f"\x1b[{y + 1};{self._at[1] + 1}H")

    def lift(self) -> str:
        if self._ink != _PLAIN:
            self._parts.append("\x1b[0m")
        return "".join(self._parts)


@lru_cache(4096)
def _change(before: Ink, after: Ink, blank: bool) -> str:
    """Return the shortest SGR sequence that turns one ink into another; a blank has no front."""
    after = _after(before, after, blank)
    if before == after:
        return ""
    if before.attributes != after.attributes:
        codes = ";".join(filter(None, ("0", after.attributes, after.front, after.back)))
        return "\x1b[m" if codes == "0" else f"\x1b[{codes}m"
    changes: list[str] = []
    if before.front != after.front:
        changes.append(after.front or "39")
    if before.back != after.back:
        changes.append(after.back or "49")
    return f"\x1b[{';'.join(changes)}m"


def _after(before: Ink, after: Ink, blank: bool) -> Ink:
    """Return the ink in hand after a cell: over a blank any front colour and boldness will do."""
    if blank and not _marks_blanks(after.attributes) and not _marks_blanks(before.attributes):
        return Ink(before.attributes, before.front, after.back)
    return after


def _marks_blanks(attributes: str) -> bool:
    return any(code in {"4", "7", "9", "21", "53"} for code in attributes.split(";"))


@lru_cache(4096)
def ink_of(style: Style | None, color_system: ColorSystem | None) -> Ink:
    """Return a style as SGR parameters for a terminal of this colour system."""
    if style is None:
        return _PLAIN
    marks = (
        (style.bold, "1"),
        (style.dim, "2"),
        (style.italic, "3"),
        (style.underline, "4"),
        (style.reverse, "7"),
        (style.strike, "9"),
    )
    attributes = ";".join(code for on, code in marks if on)
    if color_system is None:
        return Ink(attributes, "", "")
    return Ink(
        attributes, _codes(style.color, color_system, True), _codes(style.bgcolor, color_system, False)
    )


def _codes(color: Color | None, color_system: ColorSystem, front: bool) -> str:
    if color is None or color.is_default:
        return ""
    exact = _exact_256(color)
    if exact is not None and color_system in {ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT}:
        return f"{38 if front else 48};5;{exact}"
    return ";".join(color.downgrade(color_system).get_ansi_codes(foreground=front))


def _exact_256(color: Color) -> int | None:
    """Return the number of a 24-bit colour in the 256-colour table, if the table holds it exactly."""
    if color.type is not ColorType.TRUECOLOR or color.triplet is None:
        return None
    red, green, blue = color.triplet
    if red == green == blue and (red - 8) % 10 == 0 and 8 <= red <= 238:
        return 232 + (red - 8) // 10
    steps = {0: 0, 95: 1, 135: 2, 175: 3, 215: 4, 255: 5}
    if red in steps and green in steps and blue in steps:
        return 16 + 36 * steps[red] + 6 * steps[green] + steps[blue]
    return None


def cells_of(strip: Strip, color_system: ColorSystem | None) -> list[Drawn]:
    """Return a strip cell by cell; accents stay with their letter."""
    cells: list[Drawn] = []
    for text, style, control in strip:
        if control:
            continue
        ink = ink_of(style, color_system)
        if text.isascii():
            cells.extend([_drawn(char, ink) for char in text])
            continue
        for char in text:
            length = 1 if char in _SURE else cell_len(char)
            if length == 0:
                if cells and cells[-1].text:
                    cells[-1] = Drawn(cells[-1].text + char, cells[-1].ink)
                continue
            cells.append(_drawn(char, ink))
            if length == 2:
                cells.append(Drawn("", ink))
    return cells


@lru_cache(8192)
def _drawn(char: str, ink: Ink) -> Drawn:
    """Return a cell; blanks that look alike are alike, whatever their front colour was."""
    if char == " " and not _marks_blanks(ink.attributes):
        return Drawn(char, Ink("", "", ink.back))
    return Drawn(char, ink)


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
