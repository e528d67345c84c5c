"""The threads of a dump, whoever prints them: what they do, whose code it is, and what is not known of them.

A frame is the service's own when its file lies neither in the standard library nor among the installed
packages. Whether a thread runs and who holds the GIL is seen from outside alone: a process that looked at
itself knows neither, and a False that was never asked for is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from perftui.record import Record
from perftui_agent.wire.dumps import Dump, StackFrame, ThreadDump
from perftui_agent.wire.stacks_on_signal import FAULTHANDLER

_LIBRARY = re.compile(
    r"[/\\](site|dist)-packages[/\\]|[/\\]lib[/\\]python\d[^/\\]*[/\\]|[/\\]perftui_agent[/\\]|^<"
)
"""Files of installed packages, of the standard library, of the agent, and frozen ones."""

_IDLE_CALLS = frozenset(
    {"wait", "get", "_worker", "acquire", "select", "poll", "epoll", "accept", "sleep", "join"}
)

FROM_INSIDE = "python"
"""The method of a dump for which nobody was asked but the process itself."""

_KNOWS_NO_STATES = frozenset({FROM_INSIDE, FAULTHANDLER})


class SeenThread(Record, frozen=True):
    """A thread and what is known of it; None: not known."""

    thread: ThreadDump
    active: bool | None
    holds_gil: bool | None

    @property
    def name(self) -> str:
        """Its name, else its number."""
        return self.thread.name or f"thread {self.thread.thread_id}"

    @property
    def frames(self) -> Sequence[StackFrame]:
        """Its frames, innermost first."""
        return self.thread.frames

    @property
    def is_own(self) -> bool:
        """Whether it runs the service's own code anywhere."""
        return any(map(is_own, self.frames))

    @property
    def is_idle(self) -> bool:
        """Whether it waits inside a library and runs nothing of the service's."""
        if self.holds_gil or self.thread.is_main or self.is_own:
            return False
        if self.name.startswith("perftui") or self.active is False or not self.frames:
            return True
        return self.frames[0].function.rpartition(".")[2] in _IDLE_CALLS

    @property
    def importance(self) -> tuple[bool, bool, bool, bool, str]:
        """What threads are ordered by: who holds the GIL, who runs the service's code, the main one."""
        own = self.is_own
        return (not self.holds_gil, not (own and self.active), not own, not self.thread.is_main, self.name)

    def stretches(self) -> Iterator[Sequence[StackFrame] | int]:
        """Yield its frames, and between them how many were left out of a deep stack."""
        yield from stretches(self.frames, self.thread.frames_cut)


def stretches(frames: Sequence[StackFrame], cut: int) -> Iterator[Sequence[StackFrame] | int]:
    """Yield the frames of a stack, innermost first, and between them how many were left out."""
    # As the agent leaves them out: of what is kept the innermost three quarters, then the outermost.
    place = len(frames) - len(frames) // 4
    if not cut:
        yield frames
        return
    yield frames[:place]
    yield cut
    yield frames[place:]


def seen_in(dump: Dump) -> list[SeenThread]:
    """Return the threads of a dump with what is known of each."""
    if dump.method in _KNOWS_NO_STATES:
        return [SeenThread(thread, None, None) for thread in dump.threads]
    return [SeenThread(thread, thread.active, thread.holds_gil) for thread in dump.threads]


def doubts(dump: Dump) -> list[str]:
    """Return what one must know to read a dump: how it was taken, what it cannot tell, what it leaves out."""
    said = [dump.note] if dump.note else []
    if dump.method == FROM_INSIDE:
        said.append("taken from inside: who runs and who holds the GIL is not known")
    elif dump.method == FAULTHANDLER:
        said.append("the process wrote its stacks itself: who runs and who holds the GIL is not known")
    elif "nonblocking" in dump.method:
        said.append("the process was not paused: a stack may be torn")
    if dump.threads_cut:
        said.append(f"{dump.threads_cut} threads more than are told of")
    stacks = [*dump.threads, *(dump.tasks or ())]
    if cut := sum(each.frames_cut for each in stacks):
        said.append(f"{cut} frames left out of deep stacks")
    if dump.tasks_cut:
        said.append(f"{dump.tasks_cut} tasks more than are told of")
    if dump.tasks_of_agent:
        said.append(f"{dump.tasks_of_agent} tasks of the agent's own, for its remote door, left out")
    if dump.tasks is None and (dump.taken_by != dump.pid or dump.method == FAULTHANDLER):
        said.append(_WITHOUT_TASKS)
    return [*said, *_of_locals(dump)]


_WITHOUT_TASKS = "tasks, and who serves which request, only a worker knows that answers for itself"

LOCALS_WARNING = "these are the app's own values: what its users sent may be among them"


def _of_locals(dump: Dump) -> list[str]:
    if not dump.locals_of:
        return []
    if not dump.locals:
        return [f"no frame of {dump.locals_of} in any thread or task"]
    more = f"; {dump.locals_cut} frames more" if dump.locals_cut else ""
    return [f"with the variables of {dump.locals_of}: {LOCALS_WARNING}{more}"]


def is_own(frame: StackFrame) -> bool:
    """Tell whether a frame runs the service's own code."""
    return is_own_file(frame.file)


def is_own_file(file: str) -> bool:
    """Tell whether a file is the service's own."""
    return not _LIBRARY.search(file)
