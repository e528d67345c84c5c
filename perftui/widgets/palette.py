"""How each named style looks: in full colour, in the terminal's 16 colours, and in none.

The dark palette takes only colours that the 256-colour table holds exactly: a terminal with 24-bit
colour shows the same as one with 256, and a colour travels as 3 bytes instead of 11. Good is blue
and bad is orange, which the colour-blind tell apart; a sign always says the same again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, TypeAlias

from rich.style import Style
from textual.theme import Theme
from textual.widget import Widget

from perftui.present.text.cells import Style as StyleName

Palette: TypeAlias = Mapping[StyleName, Style]
"""A rich style for each name."""

Depth: TypeAlias = Literal["full", "light", "sixteen", "plain"]
"""How many colours there are; `light`: all of them, on a light ground."""

GROUND = "#121212"
PANEL = "#262626"
FOCUS = "#005f87"

DARK = Theme(
    name="perftui",
    primary="#5fafff",
    secondary="#5f87af",
    accent="#5fafff",
    warning="#ffd75f",
    error="#ff8700",
    success="#5fafff",
    foreground="#d0d0d0",
    background=GROUND,
    surface=GROUND,
    panel=PANEL,
    dark=True,
)

LIGHT = Theme(
    name="perftui-light",
    primary="#005faf",
    secondary="#5f87af",
    accent="#005faf",
    warning="#875f00",
    error="#af5f00",
    success="#005faf",
    foreground="#303030",
    background="#ffffff",
    surface="#ffffff",
    panel="#e4e4e4",
    dark=False,
)

ANSI = Theme(
    name="perftui-ansi",
    primary="ansi_bright_blue",
    secondary="ansi_blue",
    accent="ansi_bright_blue",
    warning="ansi_yellow",
    error="ansi_bright_red",
    success="ansi_bright_blue",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    ansi=True,
    dark=True,
    variables={"ansi-background": "ansi_default", "ansi-foreground": "ansi_default"},
)


def _full() -> Palette:
    on = f"on {GROUND}"
    return _parsed(
        {
            "text": f"#bcbcbc {on}",
            "name": f"#e4e4e4 {on}",
            "bright": f"bold #ffffff {on}",
            "title": f"bold #ffffff {on}",
            "dim": f"#949494 {on}",
            "faint": f"#767676 {on}",
            "label": f"#87afd7 {on}",
            "accent": f"bold #5fafff {on}",
            "chart": f"#5f87af {on}",
            "chart-high": f"#ff8700 {on}",
            "good": f"#5fafff {on}",
            "medium": f"#ffd75f {on}",
            "high": f"bold #ff8700 {on}",
            "alarm": "bold #121212 on #ff8700",
            "notice": "bold #121212 on #ffd75f",
            "own": f"bold #ffffff {on}",
            "place": f"#87d7ff {on}",
            "source": f"#ffd7af {on}",
            "heading": f"#949494 on {PANEL}",
            "heading-sorted": f"bold #ffffff on {PANEL}",
            "focus": f"#d0d0d0 on {FOCUS}",
            "focus-sorted": f"bold #ffffff on {FOCUS}",
            "section": f"bold #afd7ff on {PANEL}",
            "section-note": f"#949494 on {PANEL}",
            "bottom": f"#949494 on {PANEL}",
            "bottom-key": f"bold #ffffff on {PANEL}",
            "bottom-ask": "bold #121212 on #ffd75f",
            "cursor": "on #303030",
        }
    )


def _light() -> Palette:
    on, panel = "on #ffffff", "on #e4e4e4"
    return _parsed(
        {
            "text": f"#303030 {on}",
            "name": f"#121212 {on}",
            "bright": f"bold #000000 {on}",
            "title": f"bold #000000 {on}",
            "dim": f"#5f5f5f {on}",
            "faint": f"#767676 {on}",
            "label": f"#005f87 {on}",
            "accent": f"bold #005faf {on}",
            "chart": f"#5f87af {on}",
            "chart-high": f"#af5f00 {on}",
            "good": f"#005faf {on}",
            "medium": f"#875f00 {on}",
            "high": f"bold #af5f00 {on}",
            "alarm": "bold #ffffff on #af5f00",
            "notice": "bold #121212 on #ffd75f",
            "own": f"bold #000000 {on}",
            "place": f"#005f87 {on}",
            "source": f"#5f5f00 {on}",
            "heading": f"#5f5f5f {panel}",
            "heading-sorted": f"bold #000000 {panel}",
            "focus": f"#ffffff on {FOCUS}",
            "focus-sorted": f"bold #ffffff on {FOCUS}",
            "section": f"bold #005f87 {panel}",
            "section-note": f"#5f5f5f {panel}",
            "bottom": f"#5f5f5f {panel}",
            "bottom-key": f"bold #000000 {panel}",
            "bottom-ask": "bold #121212 on #ffd75f",
            "cursor": "on #d0d0d0",
        }
    )


def _sixteen() -> Palette:
    return _parsed(
        {
            "text": "default",
            "name": "default",
            "bright": "bold",
            "title": "bold",
            "dim": "dim",
            "faint": "dim",
            "label": "cyan",
            "accent": "bold bright_blue",
            "chart": "bright_blue",
            "chart-high": "bright_yellow",
            "good": "bright_blue",
            "medium": "yellow",
            "high": "bold bright_yellow",
            "alarm": "bold black on bright_yellow",
            "notice": "bold black on white",
            "own": "bold",
            "place": "cyan",
            "source": "yellow",
            "heading": "underline",
            "heading-sorted": "bold underline",
            "focus": "white on blue",
            "focus-sorted": "bold bright_white on blue",
            "section": "bold underline",
            "section-note": "underline",
            "bottom": "default",
            "bottom-key": "bold cyan",
            "bottom-ask": "bold black on yellow",
            "cursor": "reverse",
        }
    )


def _plain() -> Palette:
    attributes = {
        "alarm": "bold reverse",
        "notice": "reverse",
        "focus": "bold underline",
        "focus-sorted": "bold underline",
        "bottom-key": "bold",
        "bottom-ask": "bold reverse",
        "medium": "bold",
        "chart-high": "bold",
    }
    kept = {"bold", "dim", "underline", "reverse"}
    return _parsed(
        {
            name: attributes.get(name, " ".join(word for word in str(style).split() if word in kept))
            for name, style in _sixteen().items()
        }
    )


def _parsed(styles: Mapping[StyleName, str]) -> Palette:
    return {name: Style.parse(text) if text else Style() for name, text in styles.items()}


PALETTES: Mapping[Depth, Palette] = {
    "full": _full(),
    "light": _light(),
    "sixteen": _sixteen(),
    "plain": _plain(),
}

FILLED: frozenset[StyleName] = frozenset({"alarm", "notice", "bottom-ask"})
"""What stands on a ground of its own, the brightest there is, also in the row under the cursor."""

THEMES: Mapping[Depth, Theme] = {"full": DARK, "light": LIGHT, "sixteen": ANSI, "plain": ANSI}


def depth_of(color_system: str | None, no_color: bool, *, light: bool = False) -> Depth:
    """Return how many colours to use on a terminal of this colour system.

    16 colours and none are on the terminal's own ground, which is as light as its user likes it.
    """
    if no_color or color_system is None:
        return "plain"
    return "sixteen" if color_system in {"standard", "windows"} else "light" if light else "full"


@lru_cache(1024)
def style_of(depth: Depth, name: StyleName, under_cursor: bool = False) -> Style:
    """Return the rich style of a name; on the row under the cursor, with its ground."""
    palette = PALETTES[depth]
    style, cursor = palette[name], palette["cursor"]
    # A reversed chart is a hole in the row; and ink for a ground of its own is not read on another.
    keeps = name in FILLED or (cursor.reverse and name.startswith("chart"))
    return style + cursor if under_cursor and not keeps else style


def depth_for(widget: Widget) -> Depth:
    """Return the depth of the app that a widget belongs to; full colour outside of ours."""
    depth: Depth = getattr(widget.app, "depth", "full")
    return depth
