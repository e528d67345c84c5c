"""The bottom line: the keys that matter here, or the filter while it is being typed.

`python -m perftui.widgets.bottom` shows it.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from textual import events

from perftui.keys import keys_of
from perftui.keytable.key import Key, Place
from perftui.messages import FilterChanged
from perftui.present.text.cells import Cell, Line, clean, filled, fit_middle, width_of
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Lines

MAX_FILTER = 80

LEAST_TYPED = 26
"""Cells of a long filter that stay in sight beside what is said of it."""

KEYS_ROOM = 24
"""Cells for the keys beside a filter."""


def keys_line(places: tuple[Place, ...], width: int, right: str = "") -> Line:
    """Return the keys of `places` that fit, the most telling leftmost; `right` stands at the end."""
    cells = [Cell(" ", "bottom")]
    for key in _fitting(places, width, right):
        cells += [Cell(_shown(key.shown), "bottom-key"), Cell(f" {key.label}  ", "bottom")]
    gap = width - width_of(cells) - len(right) - 1
    if right and gap > 0:
        cells += [Cell(" " * gap, "bottom"), Cell(f"{right} ", "bottom")]
    return filled(cells, width, "bottom")


def keys_width(places: tuple[Place, ...]) -> int:
    """Return how many cells all keys of `places` take."""
    return 1 + sum(_room_of(key) for key in keys_of(*places) if key.label)


def key_at(places: tuple[Place, ...], width: int, right: str, x: int) -> Key | None:
    """Return the key that such a line shows in a cell."""
    x -= 1
    for key in _fitting(places, width, right):
        if 0 <= x < _room_of(key) - 2:
            return key
        x -= _room_of(key)
    return None


def _fitting(places: tuple[Place, ...], width: int, right: str) -> list[Key]:
    keys = sorted((key for key in keys_of(*places) if key.label), key=lambda key: key.weight)
    room = width - 1 - (len(right) + 2 if right else 0)
    chosen = list(keys)
    while chosen and sum(map(_room_of, chosen)) > room:
        # The middle goes first: what opens is on the left, help and quit are on the right.
        chosen.remove(
            max((key for key in chosen if key.weight < 90), key=lambda key: key.weight, default=chosen[0])
        )
    return chosen


def _room_of(key: Key) -> int:
    return len(_shown(key.shown)) + len(key.label) + 3


def _shown(shown: str) -> str:
    return shown.split(" ", maxsplit=1)[0]


class Bottom(Lines, can_focus=False, inherit_bindings=False):
    """The keys that matter on this screen."""

    DEFAULT_CSS = "Bottom { height: 1; dock: bottom; }"

    def __init__(
        self, places: Callable[[], tuple[Place, ...]], right: Callable[[], str] = lambda: ""
    ) -> None:
        super().__init__()
        self._places = places
        self._right = right

    def draw(self, width: int, _height: int) -> list[Line]:
        """Return the line of keys."""
        return [keys_line(self._places(), width, self._right())]

    def on_click(self, event: events.Click) -> None:
        """Press the key that is clicked; one that stands for several is asked for in the palette."""
        key = key_at(self._places(), self.size.width, self._right(), event.x)
        if key is not None and "{key}" in key.action:
            (key,) = (each for each in keys_of("everywhere") if each.action == "palette")
        if key is not None:
            self.app.simulate_key(key.keys[0])


class FilterLine(Lines, can_focus=True, inherit_bindings=False):
    """A line to type a filter into; every keystroke is told."""

    DEFAULT_CSS = "FilterLine { height: 1; dock: bottom; display: none; }"

    BINDINGS = bindings("filter")

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._problem = ""

    def draw(self, width: int, _height: int) -> list[Line]:
        """Return what has been typed, and what isn't understood of it, else the keys."""
        if not self._problem:
            keys = keys_line(("filter",), min(KEYS_ROOM, width))
            return [(*filled(self._typed(width - KEYS_ROOM), max(width - KEYS_ROOM, 0), "bottom"), *keys)]
        said = clean(self._problem)
        typed = self._typed(max(width - cell_len(said) - 3, LEAST_TYPED))
        aside = fit_middle(said, min(max(width - width_of(typed) - 3, 0), cell_len(said)))
        return [filled((*typed, Cell(f"  {aside}", "bottom")), width, "bottom")]

    def _typed(self, room: int) -> Line:
        """Return the filter in at most so many cells: its end, where one types."""
        text, most = self.text, max(room - 3, 1)
        if cell_len(text) > most:
            while cell_len(text) >= most:
                text = text[1:]
            text = f"…{text}"
        return (Cell(f" /{text}", "bottom-key"), Cell("█", "bottom"))

    def begin(self, text: str) -> None:
        """Show a filter to go on from."""
        self.text, self._problem = text, ""
        self.repaint()

    def say(self, problem: str) -> None:
        """Show what isn't understood; empty if everything is."""
        self._problem = problem
        self.repaint()

    def set_text(self, text: str) -> None:
        """Take a filter, and tell of it."""
        self.text = clean(text)[:MAX_FILTER]
        self.repaint()
        self.post_message(FilterChanged(self.text))

    def on_key(self, event: events.Key) -> None:
        """Take what is typed; keys that mean something elsewhere are text here."""
        if event.key in {"backspace", "ctrl+h"}:
            self.set_text(self.text[:-1])
        elif event.key == "ctrl+w":
            self.set_text(self.text.rstrip().rpartition(" ")[0])
        elif event.key == "ctrl+u":
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

    show(Bottom(lambda: ("triage", "table", "everywhere")))
