"""A line on the screen."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult

from perftui.present.text.cells import Cell
from perftui.widgets.lines import Panel


@pytest.mark.parametrize(
    ("text", "seen"), [("too long by far", "too long…"), ("just fits", "just fits"), ("padded    ", "padded")]
)
def test_a_line_that_goes_on_beyond_the_edge_says_so(text: str, seen: str) -> None:
    """Whatever drew it too wide; blanks are nothing that is missed."""

    class Shown(App[None]):
        def compose(self) -> ComposeResult:
            yield Panel(lambda *_: [(Cell("", "dim"), Cell(text))])

    async def drawn() -> str:
        app = Shown()
        async with app.run_test(size=(9, 2)) as pilot:
            await pilot.pause()
            return str(app.screen._compositor.render_strips()[0].text)

    assert asyncio.run(drawn()).rstrip() == seen
