"""A question in place of the bottom line, and the keys that answer it.

`python -m perftui.widgets.question` shows it.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from perftui.keytable.key import Place
from perftui.present.text.cells import Cell, Line, clean, filled, width_of
from perftui.widgets.bottom import key_at, keys_line, keys_width
from perftui.widgets.lines import Lines


class Question(Lines, can_focus=False, inherit_bindings=False):
    """The first of some wordings, the longest first, that leaves room for the keys of a place."""

    DEFAULT_CSS = "Question { height: 1; dock: bottom; }"

    def __init__(self, wordings: Sequence[str], place: Place) -> None:
        super().__init__()
        self._wordings = wordings
        self._places = (place,)

    def draw(self, width: int, _height: int) -> list[Line]:
        """Return the question and its keys."""
        asked = self._asked(width)
        return [(*asked, *keys_line(self._places, width - width_of(asked)))]

    def _asked(self, width: int) -> Line:
        room = width - keys_width(self._places)
        cells = [(Cell(f" {clean(wording)} ", "bottom-ask"),) for wording in self._wordings]
        asked = next((each for each in cells if width_of(each) <= room), cells[-1])
        return filled(asked, min(width_of(asked), max(room, 0)), "bottom-ask")

    def on_click(self, event: events.Click) -> None:
        """Press the key that is clicked."""
        before = width_of(self._asked(self.size.width))
        key = key_at(self._places, self.size.width - before, "", event.x - before)
        if key is not None:
            self.app.simulate_key(key.keys[0])


if __name__ == "__main__":
    from perftui.widgets.stage import show

    show(Question(["Dump worker 4121? It stands still for some 20 ms."], "confirm"))
