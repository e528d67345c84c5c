"""However the dashboard ends or is put aside, the terminal is usable afterwards."""

from __future__ import annotations

import base64
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from perftui.terminal import BROKEN as BROKEN_BY
from perftui.terminal import ENDING
from tests.support.servers import is_alive, wait_until
from tests.support.terminal import Terminal, terminal

FAKE = (sys.executable, "-m", "tests.support.fake_feed")
HOLDER = (sys.executable, "-m", "tests.support.holder")


@contextmanager
def made_up(*command: str, **env: str) -> Iterator[Terminal]:
    """Open the dashboard on a made-up service."""
    with terminal(*(command or FAKE), env={**os.environ, **env}) as seen:
        seen.wait_for("GET /orders", "● live")
        yield seen


def in_a_shell(program: str) -> str:
    """Return a line for bash that tells the modes of the terminal before and after a program, and its code.

    The subshell has the program's pid; the signals that a background shell ignores are as a user's shell has
    them.
    """
    return f"ulimit -c 0; stty -g; (echo pid $BASHPID; exec {program}); echo left with $?; stty -g"


def heeding(*command: str) -> tuple[str, ...]:
    """Return a command that heeds what keys send: what a shell runs with `&`, tests too, ignores it."""
    code = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
        "signal.signal(signal.SIGQUIT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return (sys.executable, "-c", code, *command)


def pid_of(seen: Terminal) -> int:
    """Return the pid that the shell has told."""
    found = re.search(rb"pid (\d+)", seen.raw)
    assert found is not None
    return int(found[1])


def left_as_it_was(seen: Terminal, code: int) -> None:
    """Wait until the program has ended with a code for its shell, and hold the terminal against before."""
    assert seen.end() == 0
    assert b"left with %d\r" % code in seen.raw
    assert seen.restored()
    words = bytes(seen.raw).split()
    assert words[0] == words[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_ends_it_and_gives_the_terminal_back(number: signal.Signals) -> None:
    """For a shell it has died of the signal, with the screen and the line discipline as they were."""
    with made_up(*heeding("/bin/bash", "-c", in_a_shell(" ".join(FAKE)))) as seen:
        os.kill(pid_of(seen), number)
        left_as_it_was(seen, 128 + number)


@pytest.mark.parametrize("part", range(4))
def test_every_signal_that_can_be_caught_gives_the_terminal_back(part: int) -> None:
    """Those of timers, limits, power, a broken process and real time included, whoever sends them."""
    deadly = sorted(ENDING | BROKEN_BY)
    numbers = [number for number in deadly if number <= signal.SIGSYS or number % 10 == 0]
    with ExitStack() as stack:
        # Side by side: most of the time goes into starting.
        command = heeding("/bin/bash", "-c", in_a_shell(" ".join(HOLDER)))
        held = {
            number: stack.enter_context(terminal(*command, env=os.environ)) for number in numbers[part::4]
        }
        for seen in held.values():
            seen.wait_for("holding")
        for number, seen in held.items():
            os.kill(pid_of(seen), number)
        for number, seen in held.items():
            left_as_it_was(seen, 128 + number)


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


@contextmanager
def shell() -> Iterator[Terminal]:
    """Open an interactive shell with job control."""
    with terminal("bash", "--norc", "--noediting", "-i", env={**os.environ, "PS1": "ready> "}) as seen:
        seen.wait_for("ready>")
        yield seen


def run(seen: Terminal, command: str, *words: str) -> None:
    """Type a command, and wait for words that were not there before."""
    seen.raw.clear()
    seen.screen.reset()
    seen.press(command, "enter")
    seen.wait_for(*words)


def told(seen: Terminal, word: bytes) -> None:
    """Wait for what comes on the wire, wherever on the screen it stands."""
    seen.wait(lambda _: word in seen.raw, word.decode())


def test_it_goes_into_the_background_and_comes_back() -> None:
    """ctrl+z gives the terminal to the shell, `bg` leaves it standing, `fg` paints the whole picture."""
    with shell() as seen:
        run(seen, " ".join(FAKE), "GET /orders", "● live")
        seen.press("\x1a")
        told(seen, b"Stopped")
        assert seen.restored()
        run(seen, "bg; sleep 0.5; jobs", "Stopped")
        seen.resize(120, 40)
        run(seen, "fg", "GET /orders", "● live", "q quit", "load")
        seen.press("q")
        seen.wait(lambda _: seen.restored(), "the terminal to be given back")


@pytest.mark.parametrize("how", ["ctrl+z", "STOP", "&"])
def test_in_the_background_it_ends_at_the_first_kill(how: str) -> None:
    """It touches no terminal that is not its own, which would only stop it once more."""
    with shell() as seen:
        command = " ".join(FAKE)
        if how == "&":
            until = "until jobs | grep -q Stopped; do sleep 0.1; done; jobs"
            run(seen, f"{command} & {until}", "Stopped  ")
        else:
            run(seen, command, "GET /orders", "● live")
            if how == "ctrl+z":
                seen.press("\x1a")
            else:
                children = psutil.Process(seen.child.pid).children()
                os.kill(children[0].pid, signal.SIGSTOP)
            told(seen, b"Stopped")
        # A job that stands again would be waited for in vain.
        run(seen, "p=$(jobs -p); kill %1; while kill -0 $p 2>&-; do sleep 0.1; done; echo over $((1 + 1))")
        told(seen, b"over 2")
        # Not that it stands: what the shell says of when it did may come as late as this.
        told(seen, b"Terminated")
        assert b"?1049" not in seen.raw


def row_of_cursor(text: str) -> int:
    """Return which row of a table the cursor stands on."""
    lines = text.splitlines()
    heading = next(place for place, line in enumerate(lines) if " ROUTES" in line)
    return next((place - heading - 1 for place, line in enumerate(lines) if line.startswith("›")), -1)


def test_stopped_and_continued_by_others_it_has_one_terminal() -> None:
    """No key is lost to a second reader, a new size is seen, and the terminal is as it was at the end."""
    with made_up("/bin/bash", "-c", in_a_shell(" ".join(FAKE))) as seen:
        pid = pid_of(seen)
        os.kill(pid, signal.SIGSTOP)
        seen.resize(120, 40)
        os.kill(pid, signal.SIGCONT)
        seen.wait_for("load", "q quit")
        seen.press("2")
        seen.wait_for("shop › routes")
        # A key that a second reader took would be missing, half of an escape sequence would leave the view.
        seen.press(*["down"] * 5)
        seen.wait(lambda text: row_of_cursor(text) == 5, "the sixth row")
        seen.press("q")
        left_as_it_was(seen, 0)


def test_where_no_shell_would_bring_it_back_it_does_not_go() -> None:
    """`ssh -t host perftui …`, or a pane of a multiplexer: stopped, it would stand there for ever."""
    with made_up() as seen:
        seen.press("\x1a")
        seen.wait_for("no shell would bring it back")
        seen.press("q")
        assert seen.end() == 0


def test_a_job_stops_as_a_whole() -> None:
    """What the shell waits for is `make`, which would wait for a dashboard that stands."""
    with shell() as seen:
        run(seen, f"sh -c '{' '.join(FAKE)}; true'", "GET /orders", "● live")
        seen.press("\x1a")
        told(seen, b"Stopped")
        run(seen, "fg", "GET /orders", "● live", "q quit")
        seen.press("q")
        seen.wait(lambda _: seen.restored(), "the terminal to be given back")


def test_bytes_that_are_no_text_are_no_keys() -> None:
    """A paste in another encoding ends nothing."""
    with made_up() as seen:
        os.write(seen.child.fileno(), b"\xff\xfe\xe9")
        seen.press("2")
        seen.wait_for("shop › routes")
        seen.press("q")
        assert seen.end() == 0


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
