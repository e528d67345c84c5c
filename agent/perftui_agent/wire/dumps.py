"""A dump on demand, as it is asked for and as it is answered."""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import Count
from perftui_agent.wire.parts import CodePlace, Nanoseconds, Part, RouteLabel, Value


class DumpRequest(Part, tag="dump"):
    """Asks for the stacks of every thread of a worker: the agent's own, or a sibling by pid."""

    id: str
    pid: int | None = None
    nonblocking: bool = False
    locals_of: str = ""
    """A function whose variables are asked for, `build_report` or `Reports.build`, or some of them:
    `build_report:rows,user`. Nobody's are told otherwise."""


class StackFrame(Value, frozen=True):
    """One frame of a thread's stack."""

    function: str
    file: str
    line: int
    short_file: str = ""
    source: str = ""
    """The line of code itself, where the file could be read."""


class ThreadDump(Value, frozen=True):
    """One thread; frames innermost first."""

    name: str | None
    thread_id: int
    os_thread_id: int | None = None
    active: bool = False
    holds_gil: bool = False
    is_main: bool = False
    frames: list[StackFrame] = msgspec.field(default_factory=list)
    frames_cut: Count = 0
    """Frames left out of a deep stack, from between its innermost three quarters and its outermost."""
    route: RouteLabel = ""
    """Of the request that it works for, as far as that is known."""
    age_ns: Nanoseconds | None = None
    """How long ago that request arrived."""
    task: str = ""
    """The task that it runs, or that waits for what it does."""


class WaitingTasks(Value, frozen=True):
    """Tasks of the app's loop that wait at the same place, by the same way through the app's own code."""

    frames: list[StackFrame] = msgspec.field(default_factory=list)
    """Innermost first, of one of them: what it waits in, through every `await`."""
    frames_cut: Count = 0
    """As in a thread's stack."""
    count: Count = 1
    waits_for: str = ""
    """What is at the end: `Queue.get`, `sleep`, `a thread`, `2 tasks`, `its turn on the loop`."""
    names: list[str] = msgspec.field(default_factory=list)
    """Of some of them."""
    routes: dict[RouteLabel, Count] = msgspec.field(default_factory=dict)
    """How many of them work for requests of which route."""
    oldest_ns: Nanoseconds | None = None
    """How long ago the oldest of these requests arrived."""
    awaits: dict[CodePlace, Count] = msgspec.field(default_factory=dict)
    """Where those tasks wait that these wait for."""


class FrameLocals(Value, frozen=True):
    """The variables of one frame of a function, which was asked for by its name."""

    function: str
    file: str
    line: int
    short_file: str = ""
    at: str = ""
    """The thread that it runs in, or the task."""
    route: RouteLabel = ""
    values: dict[str, str] = msgspec.field(default_factory=dict)
    values_cut: Count = 0


class Dump(Part, tag="dump-result"):
    """The stacks of one worker at one moment."""

    id: str
    pid: int
    taken_at: Nanoseconds
    took_ns: Nanoseconds
    taken_by: int
    """The pid whose agent took it: the worker's own, or a sibling's; 0: the client itself, by a signal."""
    method: str = "py-spy"
    """`py-spy`, `py-spy --nonblocking` (not paused, so stacks may be torn), `python` (the process looked at
    itself) or `faulthandler` (it wrote its stacks when it got a signal). In the last two `active` and
    `holds_gil` are unknown."""
    threads: list[ThreadDump] = msgspec.field(default_factory=list)
    threads_cut: Count = 0
    note: str = ""
    """What one must know to read it: why it is not a plain py-spy dump."""
    tasks: list[WaitingTasks] | None = None
    """What the tasks of the app's loop wait for, that do not run; None where nobody could tell: the worker
    itself alone knows them, and which request each thread serves."""
    tasks_count: Count = 0
    """How many there are."""
    tasks_cut: Count = 0
    """How many of them are in none of `tasks`."""
    tasks_of_agent: Count = 0
    """Besides: tasks of the agent's own on the app's loop, which carry what clients of its remote door are
    told."""
    locals_of: str = ""
    """Whose variables were asked for."""
    locals: list[FrameLocals] = msgspec.field(default_factory=list)
    locals_cut: Count = 0
    """Further frames of that function."""


class Refusal(Part, tag="refusal"):
    """The answer to a request that could not be carried out: one sentence and the mend."""

    id: str
    reason: str
    advice: str = ""
