"""However the dashboard ends or is put aside, the terminal is usable afterwards."""

from __future__ import annotations

import base64
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.support.servers import is_alive, wait_until
from tests.support.terminal import Terminal, terminal

FAKE = (sys.executable, "-m", "tests.support.fake_feed")


@contextmanager
def made_up(*command: str, **env: str) -> Iterator[Terminal]:
    """Open the dashboard on a made-up service."""
    with terminal(*(command or FAKE), env={**os.environ, **env}) as seen:
        seen.wait_for("GET /orders", "● live")
        yield seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_and_gives_the_terminal_back(number: signal.Signals) -> None:
    """It dies of the signal, as a shell expects, with the screen and the line discipline as they were."""
    command = f"stty -g; {' '.join(FAKE)} & p=$!; echo pid $p; fg >/dev/null; echo left with $?; stty -g"
    with made_up("bash", "-mc", command) as seen:
        found = re.search(rb"pid (\d+)", seen.raw)
        assert found is not None
        os.kill(int(found[1]), number)
        assert seen.end() == 0
        assert b"left with %d" % (128 + number) in seen.raw
        assert seen.restored()
        words = bytes(seen.raw).split()
        assert words[0] == words[-1]


BROKEN = """
import asyncio
from perftui.app import show
from tests.support.fake_feed import FakeFeed

class Broken(FakeFeed):
    async def run(self, arrived):
        await asyncio.sleep(2)
        raise ValueError("nonsense came")

show(Broken())
"""


def test_a_fault_of_ours_ends_it_and_is_told_on_the_plain_terminal() -> None:
    """The screen is given back first, and the exit code is no success."""
    with made_up(sys.executable, "-c", BROKEN) as seen:
        assert seen.end() == 1
        assert seen.restored()
        assert b"ValueError: nonsense came" in seen.raw[seen.raw.rfind(b"?1049l") :]


def test_a_terminal_that_is_gone_ends_it() -> None:
    """Even if hang-ups are ignored, as under nohup, nothing goes on without a terminal."""
    with made_up("sh", "-c", f"trap '' HUP; exec {' '.join(FAKE)}") as seen:
        process = psutil.Process(seen.child.pid)
        seen.child.ptyproc.fileobj.close()  # type: ignore[attr-defined]  # pexpect has it, its types do not
        wait_until(lambda: not is_alive(process), "the dashboard to end")


def test_it_goes_into_the_background_and_comes_back() -> None:
    """ctrl+z gives the terminal to the shell, `fg` paints the whole picture again."""
    with terminal("bash", "--norc", "--noediting", "-i", env={**os.environ, "PS1": "ready> "}) as seen:
        seen.wait_for("ready>")
        seen.press(" ".join(FAKE), "enter")
        seen.wait_for("GET /orders", "● live")
        seen.press("\x1a")
        seen.wait(lambda _: b"Stopped" in seen.raw, "the shell to say that it is stopped")
        assert seen.restored()
        seen.screen.reset()
        seen.press("fg", "enter")
        seen.wait_for("GET /orders", "● live", "q quit")
        seen.press("q")
        seen.wait(lambda _: seen.restored(), "the terminal to be given back")


def test_what_others_have_written_over_the_screen_is_painted_over() -> None:
    """ctrl+l sends the whole picture again."""
    with made_up() as seen:
        seen.screen.reset()
        seen.press("\x0c")
        seen.wait_for("GET /orders", "● live", "q quit")


def test_escape_and_a_letter_in_haste_are_two_keys() -> None:
    """Their bytes are those of alt+letter, which means nothing here: back, then quit."""
    with made_up() as seen:
        seen.press("enter")
        seen.wait_for("shop › GET /orders")
        seen.press("\x1bq")
        assert seen.end() == 0


def test_a_summary_goes_to_the_clipboard_of_the_terminal() -> None:
    """`y` sends what is on the screen as Markdown by OSC 52, and says what it did."""
    with made_up(TMUX="") as seen:
        seen.press("y")
        seen.wait_for("copied")
        found = re.search(rb"\x1b\]52;c;([^\x07\x1b]+)", seen.raw)
        assert found is not None
        text = base64.b64decode(found[1]).decode()
        assert "| GET /orders |" in text
