"""What a silence was: the code hung in a line, the worker got no CPU, or somebody had stopped it.

Takes the stacks and how the thread that mattered has spent the time. `hung`: code keeps the GIL, computing or
waiting. `starved`: it imports, or wanted to run and hardly got to; there the supervisor's patience is what is
too short. `stopped`: by a signal or a debugger, and no line of the app's is to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from perftui_agent.places import is_stdlib, is_user_code
from perftui_agent.toll import Shares
from perftui_agent.wire.dumps import Dump, StackFrame, ThreadDump
from perftui_agent.wire.lives import AGENT_THREAD

Verdict: TypeAlias = Literal["hung", "starved", "stopped"]

HUNG: Verdict = "hung"
STARVED: Verdict = "starved"
STOPPED: Verdict = "stopped"

STARVED_RAN = 0.05
"""Who has run for more of the time than this would have let go of the GIL meanwhile, had it been Python:
beside other hogs, a regular expression that ran away got 15 %."""

STARVED_WAITED = 0.5

MAX_STACK = 40

_IMPORTING = "<frozen importlib._bootstrap>"

_OF_THE_LOOP = ("/asyncio/events.py", "/asyncio/base_events.py", "/asyncio/runners.py")
"""What is further out has started the server: an app may be started by an import."""

_WAITS_FOR_EVENTS = frozenset(
    {("selectors.py", "select"), ("asyncio/runners.py", "run"), ("uvloop/__init__.py", "run")}
)
"""Innermost in the thread of a loop that has nothing to do; uvloop's own has no frame."""


class Blamed(NamedTuple):
    """The thread that a silence is about."""

    frames: Sequence[StackFrame]
    """Innermost first; none if no stack could be had."""
    thread: int | None = None
    """As the system calls it."""
    holds_gil: bool = False

    @property
    def where(self) -> str:
        """The innermost line of the app's own code, else the innermost that is not Python's."""
        for is_meant in (is_user_code, _is_installed):
            for frame in self.frames:
                if is_meant(frame.file):
                    return place(frame)
        return place(self.frames[0]) if self.frames else ""

    @property
    def stack(self) -> list[str]:
        """The frames as people say them."""
        return [place(frame) for frame in self.frames[:MAX_STACK]]

    @property
    def imports(self) -> bool:
        """Whether it was importing something."""
        for frame in self.frames:
            if frame.file == _IMPORTING:
                return True
            if frame.file.endswith(_OF_THE_LOOP):
                return False
        return False

    @property
    def waits_for_events(self) -> bool:
        """Whether its loop has nothing to do: then the app is not what is silent."""
        if not self.frames or self.holds_gil:
            return False
        innermost = self.frames[0]
        return (innermost.short_file, innermost.function.rpartition(".")[2]) in _WAITS_FOR_EVENTS


NOBODY = Blamed(())


def place(frame: StackFrame) -> str:
    """Return a frame as people say it."""
    return f"{frame.short_file or frame.file}:{frame.line} {frame.function}"


def blamed(dump: Dump) -> Blamed:
    """Return the thread that holds the GIL; where that is not told the main one, unless it waits for events.

    Then it is one in whose stack the app's own code is innermost: threads that wait are in Python's.
    """
    others = [thread for thread in dump.threads if thread.name != AGENT_THREAD and thread.frames]
    holder = next((thread for thread in others if thread.holds_gil), None)
    if holder is not None:
        return _of(holder)
    main = next((_of(thread) for thread in others if thread.is_main), NOBODY)
    if main.frames and not main.waits_for_events:
        return main
    return next((_of(thread) for thread in others if is_user_code(thread.frames[0].file)), main)


def _of(thread: ThreadDump) -> Blamed:
    return Blamed(thread.frames, thread.os_thread_id, thread.holds_gil)


def judge(who: Blamed, spent: Shares | None, *, is_stopped: bool) -> Verdict:
    """Return what a silence was."""
    if is_stopped:
        return STOPPED
    if who.imports:
        return STARVED
    if spent is not None and spent.ran <= STARVED_RAN and spent.waited >= STARVED_WAITED:
        return STARVED
    return HUNG


def _is_installed(file: str) -> bool:
    return not is_stdlib(file)
