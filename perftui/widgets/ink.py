"""Cells as they travel: characters and colours in their shortest form, in ASCII where it must be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import Color, ColorSystem, ColorType
from rich.style import Style
from textual.strip import Strip

SURE = frozenset(map(chr, range(32, 127))) | frozenset("▁▂▃▄▅▆▇█━╸▲△▴·✗✓●○◂›…–─│≈Δ┴⏎↑↓“”×")
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


PLAIN = Ink("", "", "")

_ASCII = dict(zip("▁▂▃▄▅▆▇█━╸▲△▴·✗✓●○◂›…–─│≈Δ┴⏎↑↓“”×", '__..-=##=-!?^.xv*o<>~--|=d+<^v""x', strict=True))
"""What stands for our signs and charts on a terminal that knows nothing but ASCII."""


def wants_ascii(environ: Mapping[str, str]) -> bool:
    """Tell whether the terminal is known not to show UTF-8: by its locale, or because it is said so."""
    if chosen := environ.get("PERFTUI_ASCII"):
        return chosen != "0"
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    charset = locale.partition(".")[2].lower().replace("-", "")
    return bool(charset) and not charset.startswith("utf8")


def as_ascii(text: str) -> str:
    """Return one cell in ASCII; the second half of a wide character becomes a cell of its own."""
    return text if text.isascii() and text else _ASCII.get(text, "?")


@lru_cache(4096)
def ink_of(style: Style | None, color_system: ColorSystem | None) -> Ink:
    """Return a style as SGR parameters for a terminal of this colour system."""
    if style is None:
        return PLAIN
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
            length = 1 if char in SURE else cell_len(char)
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
    if char == " " and not marks_blanks(ink.attributes):
        return Drawn(char, Ink("", "", ink.back))
    return Drawn(char, ink)


def marks_blanks(attributes: str) -> bool:
    """Tell whether a blank with these attributes can be seen."""
    return any(code in {"4", "7", "9", "21", "53"} for code in attributes.split(";"))
