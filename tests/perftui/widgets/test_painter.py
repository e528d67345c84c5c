"""What is sent to the terminal."""

from __future__ import annotations

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from perftui.widgets.ink import cells_of, ink_of, wants_ascii
from perftui.widgets.painter import Painter

STYLES = [
    Style.parse(text)
    for text in (
        "none",
        "bold red",
        "#5fafff on #121212",
        "bold #5fafff on #121212",
        "#ff8700 on #121212",
        "reverse",
        "bold reverse",
        "underline blue",
        "bold underline blue",
    )
]

SYSTEM = ColorSystem.TRUECOLOR

WIDTH = 12


def strip(*parts: tuple[str, int]) -> Strip:
    return Strip([Segment(text, STYLES[style]) for text, style in parts])


def paint(painter: Painter, lines: list[Strip]) -> str:
    return painter.paint([(y, 0, cells_of(line, SYSTEM)) for y, line in enumerate(lines)], WIDTH)


def shown(screen: pyte.Screen) -> list[list[tuple[object, ...]]]:
    return [
        [
            (
                cell.data,
                (cell.fg, cell.bold) if cell.data.strip() else (),
                cell.bg != "default",
                (cell.reverse, cell.underscore),
            )
            for cell in (screen.buffer[y][x] for x in range(WIDTH))
        ]
        for y in range(3)
    ]


lines_of_text = st.lists(
    st.tuples(st.text("ab▁█ 日é", min_size=1, max_size=4), st.integers(0, len(STYLES) - 1)),
    max_size=4,
).map(lambda parts: strip(*parts).adjust_cell_length(WIDTH).crop(0, WIDTH))

pictures = st.lists(st.lists(lines_of_text, min_size=3, max_size=3), min_size=1, max_size=5)


@given(pictures)
def test_the_terminal_shows_the_last_picture(frames: list[list[Strip]]) -> None:
    """Painting only what differs, picture after picture, ends where painting the last alone does."""
    often, once = pyte.Screen(WIDTH, 3), pyte.Screen(WIDTH, 3)
    painter = Painter()
    stream = pyte.Stream(often)
    for frame in frames:
        stream.feed(paint(painter, frame))
    pyte.Stream(once).feed(paint(Painter(), frames[-1]))
    assert shown(once) == shown(often)


def test_the_same_picture_costs_nothing() -> None:
    """What the terminal shows already is not sent."""
    painter = Painter()
    lines = [strip(("GET /orders ", 2))]
    paint(painter, lines)
    assert paint(painter, lines) == ""


def test_a_digit_costs_a_few_bytes() -> None:
    """One character that changes takes a move, a colour and itself."""
    painter = Painter()
    paint(painter, [strip(("p95  840ms  ", 2))])
    assert len(paint(painter, [strip(("p95  841ms  ", 2))])) <= 40


def test_a_colour_is_set_once_for_all_that_begin_in_it() -> None:
    """Digits that change in many lines of a table cost one colour, not one each."""
    painter = Painter()
    paint(painter, [strip(("p50 1 ", 2), ("p95 1 ", 4))] * 3)
    sent = paint(painter, [strip(("p50 2 ", 2), ("p95 2 ", 4))] * 3)
    assert (sent.count("38;5;75"), sent.count("38;5;208")) == (1, 1)


def test_boldness_is_switched_without_saying_the_colours_again() -> None:
    """Over the same ground a bold word costs its colour and one code more."""
    painter = Painter()
    sent = paint(painter, [strip(("a", 2), ("b", 3), ("c", 2))])
    assert (sent.count("48;5;233"), sent.count("38;5;75")) == (1, 1)
    assert "\x1b[1mb\x1b[22mc" in sent


def test_colours_of_the_256_table_travel_by_number() -> None:
    """A colour that the table holds exactly is sent in its short form."""
    assert tuple(ink_of(STYLES[2], SYSTEM)) == ("", "38;5;75", "48;5;233")


def test_nothing_is_coloured_where_there_is_no_colour() -> None:
    """Without a colour system a style is its attributes alone."""
    assert tuple(ink_of(STYLES[1], None)) == ("1", "", "")


def test_a_forgotten_terminal_is_painted_whole() -> None:
    """After a resize nothing is taken for shown."""
    painter = Painter()
    lines = [strip(("GET /orders ", 2))]
    whole = paint(painter, lines)
    painter.forget()
    assert whole == paint(painter, lines)


def test_after_an_emoji_the_cursor_is_placed_anew() -> None:
    """Terminals disagree on widths: what follows such a character is put where it belongs."""
    painted = paint(Painter(), [strip(("a🎉b", 0))])
    assert "🎉\x1b[1;4Hb" in painted


def test_a_terminal_without_utf8_gets_ascii() -> None:
    """Signs and charts have a stand-in, other characters a question mark, and each cell stays a cell."""
    painter = Painter(ascii_only=True)
    text = painter.paint([(0, 0, cells_of(strip(("▲▁█日é x", 0)), SYSTEM))], WIDTH)
    assert text.isascii()
    assert "!_#??? x" in text


def test_ascii_is_for_those_who_say_so() -> None:
    """A locale that names another charset, or the variable; a locale that names none is taken for UTF-8."""
    assert wants_ascii({"LANG": "de_DE.ISO-8859-1"})
    assert wants_ascii({"PERFTUI_ASCII": "1", "LANG": "C.UTF-8"})
    assert not wants_ascii({"LC_ALL": "en_US.UTF-8", "LANG": "de_DE.ISO-8859-1"})
    assert not wants_ascii({"LANG": "C"})
    assert not wants_ascii({})


def test_bytes_are_counted() -> None:
    """The dashboard knows what it costs on the wire."""
    painter = Painter()
    text = paint(painter, [strip(("é", 0))])
    assert len(text.encode()) == painter.bytes_sent
