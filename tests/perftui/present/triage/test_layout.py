"""How the triage view shares out the screen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perftui.present.triage.layout import triage_layout


def test_at_80_by_24_everything_has_its_place() -> None:
    """Charts with their axis, what stands out, ten routes and four workers with headings fit 24 lines."""
    layout = triage_layout(80, 24, notices=1, workers=4, routes=30)
    assert (layout.chart_height, layout.attention, layout.workers) == (1, 1, 5)
    assert 24 - 2 - 4 - 1 - 5 >= 11


@given(
    st.integers(60, 300), st.integers(20, 100), st.integers(0, 50), st.integers(0, 200), st.integers(0, 600)
)
def test_routes_always_get_lines(width: int, height: int, notices: int, workers: int, routes: int) -> None:
    """However many workers and notices there are, the routes keep a heading and at least three rows."""
    layout = triage_layout(width, height, notices, workers, routes)
    gaps = 4 if layout.gaps else 0
    assert height - 3 - 3 * layout.chart_height - layout.attention - layout.workers - gaps >= 4


def test_a_wide_screen_puts_the_workers_beside_the_routes() -> None:
    """200 columns hold both tables in full."""
    assert triage_layout(200, 50, 1, 4, 30).side_by_side
    assert not triage_layout(120, 40, 1, 4, 30).side_by_side
