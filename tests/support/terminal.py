"""A real terminal for tests: a command in a pty, and what a person in front of it would see."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

import pexpect
import pyte

KEYS = {"enter": "\r", "esc": "\x1b", "tab": "\t", "space": " ", "down": "\x1b[B", "up": "\x1b[A"}

WAIT_S = 60.0

_ASKED = ("?1049h", "?25l", "?2004h", "?7l", "?1004h", "?1000h", "?1006h", ">")
"""What is asked of a terminal: another screen, no cursor, pastes in brackets, no wrapping, reports of
focus and mouse, keys in full."""


@dataclass(slots=True)
class Terminal:
    """A pty with a command in it; its screen is what the bytes so far have drawn."""

    child: pexpect.spawn[bytes]
    screen: pyte.Screen
    raw: bytearray = field(default_factory=bytearray)
    _stream: pyte.ByteStream = field(init=False)

    def __post_init__(self) -> None:
        self._stream = pyte.ByteStream(self.screen)

    def lines(self) -> list[str]:
        """Return the screen, without trailing blanks."""
        return [line.rstrip() for line in self.screen.display]

    def text(self) -> str:
        """Return the screen as one text."""
        return "\n".join(self.lines())

    def read(self, timeout_s: float = 0.1) -> bool:
        """Take in what has been written; say whether there may be more."""
        try:
            data = self.child.read_nonblocking(65536, timeout_s)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def wait(self, seen: Callable[[str], bool], what: str, timeout_s: float = WAIT_S) -> str:
        """Wait until the screen shows what `seen` looks for; return the screen."""
        deadline = monotonic() + timeout_s
        while not seen(self.text()):
            if not self.read() or monotonic() > deadline:
                raise AssertionError(f"waited in vain for {what}; the screen:\n{self.text()}")
        return self.text()

    def wait_for(self, *words: str) -> str:
        """Wait until the screen shows all of these words; return the screen."""
        return self.wait(lambda text: all(word in text for word in words), " and ".join(words))

    def press(self, *keys: str) -> None:
        """Press keys, by name or as what they type."""
        for key in keys:
            self.child.send(KEYS.get(key, key))

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        self.screen.resize(lines, columns)
        self.child.setwinsize(lines, columns)

    def restored(self) -> bool:
        """Tell whether everything has been asked of the terminal, and all of it undone since."""
        swapped = str.maketrans("hl", "lh")
        undone = [(each, "<u" if each == ">" else each.translate(swapped)) for each in _ASKED]
        last = {code: self.raw.rfind(f"\x1b[{code}".encode()) for pair in undone for code in pair}
        return all(0 <= last[asked] < last[undoing] for asked, undoing in undone)

    def click(self, word: str) -> None:
        """Press and release the left button on a word, as terminals tell it (SGR)."""
        y, x = next((y, line.index(word)) for y, line in enumerate(self.lines(), 1) if word in line)
        self.child.send(f"\x1b[<0;{x + 1};{y}M\x1b[<0;{x + 1};{y}m")

    def end(self) -> int:
        """Wait until the command has ended; return its exit code, minus the signal if one ended it."""
        deadline = monotonic() + WAIT_S
        while self.read():
            if monotonic() > deadline:
                raise AssertionError(f"waited in vain for it to end; the screen:\n{self.text()}")
        self.child.wait()
        return self.child.exitstatus if self.child.exitstatus is not None else -(self.child.signalstatus or 0)


@contextmanager
def spawned(
    *command: str, env: Mapping[str, str], size: tuple[int, int] = (80, 24)
) -> Iterator[pexpect.spawn[bytes]]:
    """Run a command in a pty of this size (columns, lines); it is gone at the end."""
    columns, lines = size
    child: pexpect.spawn[bytes] = pexpect.spawn(
        command[0],
        list(command[1:]),
        env={**env, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
        dimensions=(lines, columns),
    )
    try:
        yield child
    finally:
        child.close(force=True)


@contextmanager
def terminal(*command: str, env: Mapping[str, str], size: tuple[int, int] = (80, 24)) -> Iterator[Terminal]:
    """Run a command in a pty of this size (columns, lines), and have its screen drawn."""
    with spawned(*command, env=env, size=size) as child:
        yield Terminal(child, pyte.Screen(*size))


def perftui(*args: str) -> tuple[str, ...]:
    """Return the command line of the real CLI."""
    return (sys.executable, "-m", "perftui", *args)
