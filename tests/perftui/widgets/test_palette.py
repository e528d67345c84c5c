"""How styles look, by how many colours there are."""

from __future__ import annotations

import pytest

from perftui.widgets.ink import _exact_256
from perftui.widgets.palette import PALETTES, THEMES, Depth, depth_of, style_of


def luminance(color: tuple[int, int, int]) -> float:
    """Return the relative luminance that WCAG defines."""
    parts = [part / 255 for part in color]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_palette_knows_every_style() -> None:
    """A style that one of them lacks would only fail on that terminal."""
    names = {depth: set(palette) for depth, palette in PALETTES.items()}
    assert all(each == names["full"] for each in names.values())
    assert set(THEMES) == set(PALETTES)


@pytest.mark.parametrize("depth", ["full", "light"])
def test_colours_are_those_that_256_hold(depth: str) -> None:
    """Each travels in three bytes, and looks the same with 24 bits."""
    palette = PALETTES["full" if depth == "full" else "light"]
    for style in palette.values():
        for color in (style.color, style.bgcolor):
            assert color is None or _exact_256(color) is not None, style


@pytest.mark.parametrize("depth", ["full", "light"])
def test_text_stands_out_from_its_ground(depth: str) -> None:
    """A contrast of 4 at least for all that is read, the faintest included; charts are larger."""
    palette = PALETTES["full" if depth == "full" else "light"]
    for name, style in palette.items():
        if style.color is None or style.bgcolor is None or name == "chart":
            continue
        pair = [luminance(color.get_truecolor()) for color in (style.color, style.bgcolor)]
        assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4, name


@pytest.mark.parametrize("depth", ["full", "light"])
def test_text_stands_out_in_the_row_under_the_cursor(depth: Depth) -> None:
    """What stands in tables: there the worst row is the first, and the cursor is on it."""
    for name in ("text", "name", "bright", "dim", "medium", "high", "alarm", "good", "label", "place"):
        style = style_of(depth, name, under_cursor=True)
        assert style.color is not None
        assert style.bgcolor is not None
        pair = [luminance(color.get_truecolor()) for color in (style.color, style.bgcolor)]
        assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 3, name


def test_a_light_ground_is_only_for_terminals_with_enough_colours() -> None:
    """Others show their own ground."""
    found = [
        depth_of(system, plain, light=True) for system, plain in (("truecolor", False), ("standard", False))
    ]
    assert found == ["light", "sixteen"]
    assert depth_of("truecolor", True, light=True) == "plain"
