"""The bottom line: the keys that matter here, or the filter while it is being typed.

`python -m perftui.widgets.bottom` shows it.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import events

from perftui.keys import Place, keys_of
from perftui.messages import FilterChanged
from perftui.present.cells import Cell, Line, clean, filled, width_of
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Lines

MAX_FILTER = 80


def keys_line(places: tuple[Place, ...], width: int, right: str = "") -> Line:
    """Return the keys of `places` that fit, the most telling leftmost; `right` stands at the end."""
    keys = sorted((key for key in keys_of(*places) if key.label), key=lambda key: key.weight)
    room = width - 1 - (len(right) + 2 if right else 0)
    chosen = list(keys)
    while chosen and sum(len(_shown(key.shown)) + len(key.label) + 3 for key in chosen) > room:
        # The middle goes first: what opens is on the left, help and quit are on the right.
        chosen.remove(
            max((key for key in chosen if key.weight < 90), key=lambda key: key.weight, default=chosen[0])
        )
    cells = [Cell(" ", "bottom")]
    for key in chosen:
        cells += [Cell(_shown(key.shown), "bottom-key"), Cell(f" {key.label}  ", "bottom")]
    gap = width - width_of(cells) - len(right) - 1
    if right and gap > 0:
        cells += [Cell(" " * gap, "bottom"), Cell(f"{right} ", "bottom")]
    return filled(cells, width, "bottom")


def _shown(shown: str) -> str:
    return shown.split(" ", maxsplit=1)[0]


class Bottom(Lines, can_focus=False, inherit_bindings=False):
    """The keys that matter on this screen."""

    DEFAULT_CSS = "Bottom { height: 1; dock: bottom; }"

    def __init__(self, *places: Place, right: Callable[[], str] = lambda: "") -> None:
        super().__init__()
        self._places = places
        self._right = right

    def draw(self, width: int, _height: int) -> list[Line]:
        """Return the line of keys."""
        return [keys_line(self._places, width, self._right())]


class FilterLine(Lines, can_focus=True, inherit_bindings=False):
    """A line to type a filter into; every keystroke is told."""

    DEFAULT_CSS = "FilterLine { height: 1; dock: bottom; display: none; }"

    BINDINGS = bindings("filter")

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def draw(self, width: int, _height: int) -> list[Line]:
        """Return what has been typed."""
        keys = keys_line(("filter",), max(width - 30, 0))
        typed = (Cell(" /", "bottom-key"), Cell(self.text, "bottom-key"), Cell("█", "bottom"))
        return [(*filled(typed, min(30, width), "bottom"), *keys)]

    def set_text(self, text: str) -> None:
        """Take a filter, and tell of it."""
        self.text = clean(text)[:MAX_FILTER]
        self.repaint()
        self.post_message(FilterChanged(self.text))

    def on_key(self, event: events.Key) -> None:
        """Take what is typed; keys that mean something elsewhere are text here."""
        if event.key in {"backspace", "ctrl+h"}:
            self.set_text(self.text[:-1])
        elif event.key in {"ctrl+u", "ctrl+w"}:
            self.set_text("")
        elif event.is_printable and event.character:
            self.set_text(self.text + event.character)
        else:
            return
        event.prevent_default().stop()

    def on_paste(self, event: events.Paste) -> None:
        """Take the first line of what is pasted."""
        self.set_text(self.text + (event.text.splitlines() or [""])[0])
        event.stop()


if __name__ == "__main__":
    from perftui.widgets.stage import show

    show(Bottom("triage", "table", "everywhere"))
