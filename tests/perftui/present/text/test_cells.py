"""Text measured in cells."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from perftui.present.text.cells import Cell, clean, filled, fit, fit_middle, spread, text_of, width_of


def test_control_characters_are_taken_out() -> None:
    """An escape sequence, a bell, a bidi override and a zero-width joiner leave only what can be read."""
    assert clean("a\x1b[31mb\x07c\u202ed\u200d") == "a[31mbcd"


def test_markup_is_text() -> None:
    """Square brackets are what they are."""
    assert clean("[bold]x[/bold]") == "[bold]x[/bold]"


def test_line_ends_and_tabs_become_spaces() -> None:
    """What is shown in one line stays in one line."""
    assert clean("a\nb\tc") == "a b c"


@given(st.text())
def test_nothing_that_steers_a_terminal_survives(text: str) -> None:
    """Cleaned text holds neither control nor format characters, and cleaning again changes nothing."""
    cleaned = clean(text)
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in cleaned}
    assert cleaned == clean(cleaned)


@given(st.text(), st.integers(0, 60), st.sampled_from(["left", "right"]))
def test_fit_takes_exactly_its_width(text: str, width: int, align: str) -> None:
    """Wide characters, accents and emoji never push a column out of place."""
    assert width == cell_len(fit(clean(text), width, "left" if align == "left" else "right"))


@given(st.text(), st.integers(0, 60))
def test_fit_middle_takes_exactly_its_width(text: str, width: int) -> None:
    """A path cut in the middle is as wide as one that needn't be."""
    assert width == cell_len(fit_middle(clean(text), width))


def test_a_long_path_keeps_both_its_ends() -> None:
    """Routes with one prefix are told apart by their ends."""
    cut = fit_middle("GET /api/v1/shops/{shop_id}/carts/{cart_id}/lines", 30)
    assert cut.startswith("GET /api/")
    assert cut.endswith("/lines")
    assert "…" in cut


def test_what_is_on_the_left_goes_first() -> None:
    """When a line has no room for both ends, the right end gives way."""
    line = spread((Cell("shop · live"),), (Cell("n 24,731"),), 14)
    assert text_of(line) == "shop · live n…"


def test_a_filled_line_has_its_width() -> None:
    """A line is padded or cut to the width of the screen."""
    assert width_of(filled((Cell("abc"),), 10)) == 10
    assert text_of(filled((Cell("abcdef"),), 4)) == "abc…"
