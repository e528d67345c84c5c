"""Everything one can do here, found by a few letters of it. What is chosen is done by its key."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.fuzzy import Matcher
from textual.screen import ModalScreen

from perftui.keys import keys_of
from perftui.keytable.key import Place
from perftui.present.text.cells import Cell, Line, clean, filled, fit
from perftui.record import Record
from perftui.screens.view import Host, thrifty
from perftui.widgets.bindings import bindings
from perftui.widgets.clicks import NOTCH
from perftui.widgets.lines import Lines
from perftui.widgets.spared import Spared

MAX_ROWS = 12
"""Lines of the palette with what is typed."""

MAX_TYPED = 60

_SHOWN = 14
"""Cells for the key beside what it does."""


class Command(Record, frozen=True):
    """Something one can do, and the keys that do it one after the other."""

    sentence: str
    shown: str
    presses: tuple[str, ...]


def commands(*places: Place) -> list[Command]:
    """Return what can be done in `places`, in the order of the table of keys."""
    found: list[Command] = []
    for key in keys_of(*places):
        if key.action == "palette":
            continue
        if "{key}" in key.action:
            # One line of the table for several keys: its sentence names what each of them does.
            names = key.sentence.rstrip(".").split(", ")
            found += [
                Command(f"{name}.", press, (press,)) for name, press in zip(names, key.keys, strict=True)
            ]
        else:
            found.append(Command(key.sentence, key.shown, key.keys[:1] * (2 if key.shown == "gg" else 1)))
    return found


def matching(typed: str, known: list[Command]) -> list[Command]:
    """Return the commands that hold the letters of `typed` in this order, the best first."""
    if not typed.strip():
        return known
    matcher = Matcher(typed.strip())
    scores = [(matcher.match(f"{command.sentence} {command.shown}"), command) for command in known]
    found = [(_begins(typed, command), score, command) for score, command in scores if score > 0]
    return [command for *_, command in sorted(found, key=lambda each: (each[0], -each[1]))]


def _begins(typed: str, command: Command) -> int:
    """Return 0 where the first word begins as one has typed, 1 where any does: `rec` is to record."""
    words, begin = command.sentence.lower().split(), typed.strip().lower()
    return next((min(place, 1) for place, word in enumerate(words) if word.startswith(begin)), 2)


class Palette(Spared, ModalScreen[Command | None], inherit_bindings=False):
    """Lets one of the commands of a screen be chosen."""

    def __init__(self, host: Host, *places: Place) -> None:
        super().__init__()
        thrifty(self, host)
        self._choice = Choice(commands(*places))

    def compose(self) -> ComposeResult:
        """Show the commands, and below them what is typed."""
        yield self._choice

    def on_mount(self) -> None:
        """Take what is typed."""
        self._choice.focus()


class Choice(Lines, can_focus=True, inherit_bindings=False):
    """The commands that match, a cursor, and the line one types in."""

    BINDINGS = bindings("palette")
    DEFAULT_CSS = f"Choice {{ dock: bottom; height: {MAX_ROWS}; }}"

    def __init__(self, known: list[Command]) -> None:
        super().__init__("choice")
        self._known = known
        self._typed = ""
        self._place = 0
        self._first = 0

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the commands in sight, and what is typed."""
        found = matching(self._typed, self._known)
        room = height - 1
        self._place = min(self._place, max(len(found) - 1, 0))
        self._first = min(max(self._first, self._place - room + 1, 0), self._place)
        rows = [
            self._row(command, self._first + number == self._place, width)
            for number, command in enumerate(found[self._first : self._first + room])
        ]
        if not found:
            rows = [filled((Cell(f"   nothing here is called “{self._typed}”", "bottom"),), width, "bottom")]
        rows += [filled((), width, "bottom")] * (room - len(rows))
        count = f"{len(found)} of {len(self._known)} "
        typed = (Cell(" :", "bottom-key"), Cell(self._typed, "bottom-key"), Cell("█", "bottom"))
        keys = Cell(f"⏎ do it  ↑ ↓ choose  esc leave   {count}", "bottom")
        left = filled(typed, max(width - len(keys.text), 0), "bottom")
        return [*rows, (*left, keys)]

    def _row(self, command: Command, chosen: bool, width: int) -> Line:
        cells = (
            Cell(" › " if chosen else "   ", "bottom-key"),
            Cell(fit(command.sentence, max(width - _SHOWN - 4, 0)), "bottom-key" if chosen else "bottom"),
            Cell(command.shown, "bottom-key"),
        )
        return filled(cells, width, "bottom")

    def on_click(self, event: events.Click) -> None:
        """Leave with the command that is clicked."""
        found = matching(self._typed, self._known)
        place = self._first + event.y
        if event.chain == 1 and event.y < self.size.height - 1 and place < len(found):
            self.screen.dismiss(found[place])

    def on_mouse_scroll_down(self) -> None:
        """Go down."""
        self.action_cursor(NOTCH)

    def on_mouse_scroll_up(self) -> None:
        """Go up."""
        self.action_cursor(-NOTCH)

    def on_key(self, event: events.Key) -> None:
        """Take what is typed; keys that mean something elsewhere are text here."""
        if event.key in {"backspace", "ctrl+h"}:
            self._type(self._typed[:-1])
        elif event.key in {"ctrl+u", "ctrl+w"}:
            self._type("")
        elif event.is_printable and event.character:
            self._type(self._typed + event.character)
        else:
            return
        event.prevent_default().stop()

    def on_paste(self, event: events.Paste) -> None:
        """Take the first line of what is pasted."""
        self._type(self._typed + (event.text.splitlines() or [""])[0])
        event.stop()

    def _type(self, text: str) -> None:
        self._typed, self._place = clean(text)[:MAX_TYPED], 0
        self.repaint()

    def action_cursor(self, by: int) -> None:
        """Go to another command."""
        self._place = max(self._place + by, 0)
        self.repaint()

    def action_choose(self) -> None:
        """Leave with the command under the cursor."""
        found = matching(self._typed, self._known)
        self.screen.dismiss(found[self._place] if self._place < len(found) else None)

    def action_leave(self) -> None:
        """Leave with nothing."""
        self.screen.dismiss(None)
