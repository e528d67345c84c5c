"""What a client may have done in a worker, and what it gets for it, the dump in `frames` apart.

Each request has an id that the client made up and its answers carry, and may name a sibling's pid. While it
is carried out come `Progress`es; at its end one result, or a `Refusal`. `Finish` ends it early: what there
is by then is the result. A client that hangs up ends what it asked for.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from perftui_agent.sketch import Count
from perftui_agent.wire.parts import CodePlace, Nanoseconds, Part, RouteLabel, Value

Mode: TypeAlias = Literal["wall", "cpu", "gil"]
"""What a profile samples: every thread at every tick, those that run, or the one that holds the GIL."""

Engine: TypeAlias = Literal["auto", "py-spy", "sampler"]
"""Who takes a profile: py-spy from outside, or the agent's own sampler, which knows the requests."""

LONGEST_PROFILE_S = 300.0

HIGHEST_RATE_HZ = 1000


class Finish(Part, tag="finish"):
    """Asks for an action to end now, and for what there is of its result."""

    id: str


class Progress(Part, tag="progress"):
    """How far an action is."""

    id: str
    done: float = 0.0
    """Of the whole, 0…1."""
    text: str = ""
    """What there is so far, in a few words."""
    profile: Profile | None = None
    """What a profile has seen so far."""


class ProfileRequest(Part, tag="profile"):
    """Asks for a sampling profile of a worker: the agent's own, or a sibling by pid."""

    id: str
    pid: int | None = None
    for_s: float = 10.0
    rate_hz: int = 100
    mode: Mode = "wall"
    engine: Engine = "auto"
    by_route: bool = False
    """Whether each sample is to name the request that ran: only the agent's own sampler can tell."""


class ProfiledFrame(Value, frozen=True, array_like=True):
    """A line of code in a profile."""

    function: str
    file: str
    line: int
    short_file: str = ""

    @property
    def place(self) -> CodePlace:
        """The frame as people say it."""
        return f"{self.short_file or self.file}:{self.line} {self.function}"


class ProfiledStack(Value, frozen=True, array_like=True):
    """A stack that was seen."""

    frames: list[int]
    """Outermost first: places in `Profile.frames`."""
    weight_ns: Nanoseconds
    """For how long, as far as samples tell: each stands for the time since the one before."""
    count: Count
    route: RouteLabel = ""
    """Of the request that it worked for; empty for none or an unknown one."""
    thread: str = ""
    on_loop: bool = False
    """Whether it ran on the app's event loop."""
    idle: bool = False
    """Whether it waited for something to do: the loop for events, a pool's thread for a job."""


class Profile(Part, tag="profile-result"):
    """Where a worker spent its time."""

    id: str
    pid: int
    taken_at: Nanoseconds
    took_ns: Nanoseconds
    engine: str
    """`py-spy` or `sampler`."""
    because: str = ""
    """Why this engine, and not the other."""
    mode: Mode = "wall"
    rate_hz: float = 0.0
    """As it was at the end: it is lowered where the machine does not keep up."""
    samples: Count = 0
    """Stacks that were seen, of all threads together."""
    missed: Count = 0
    """Samples that were due and could not be taken in time."""
    attributed: float | None = None
    """Of the samples at work, the share whose request is known; None where nobody asked."""
    frames: list[ProfiledFrame] = msgspec.field(default_factory=list)
    stacks: list[ProfiledStack] = msgspec.field(default_factory=list)
    stacks_cut: Count = 0
    """Samples whose stacks were too many to be told apart: their time is under `(other)`."""
    note: str = ""


class MemoryRequest(Part, tag="memory"):
    """Asks what grows in a worker's memory, between two moments; of the agent's own worker alone."""

    id: str
    pid: int | None = None
    for_s: float = 60.0


class GrownLine(Value, frozen=True):
    """A line of code whose objects have become more."""

    file: str
    line: int
    short_file: str = ""
    function: str = ""
    grew_bytes: int = 0
    count: int = 0
    """How many more blocks of memory it holds."""
    routes: dict[RouteLabel, int] = msgspec.field(default_factory=dict)
    """Bytes by the route that had them made, as far as the stack tells."""


class GrownType(Value, frozen=True):
    """A type of objects that have become more."""

    type: str
    grew: int
    now: int


class Memory(Part, tag="memory-result"):
    """What has grown in a worker."""

    id: str
    pid: int
    taken_at: Nanoseconds
    took_ns: Nanoseconds
    watched_ns: Nanoseconds
    """Between the two moments."""
    traced_bytes: int = 0
    """What Python's allocations since the beginning still hold."""
    rss_before: int | None = None
    rss_after: int | None = None
    lines: list[GrownLine] = msgspec.field(default_factory=list)
    types: list[GrownType] = msgspec.field(default_factory=list)
    lines_cut: Count = 0
    note: str = ""


LONGEST_WAIT_S = 600.0

MOST_REQUESTS = 1000


class FunctionsRequest(Part, tag="functions"):
    """Asks which functions the next requests of a route call; of the agent's own worker alone."""

    id: str
    pid: int | None = None
    route: RouteLabel = ""
    requests: int = 20
    for_s: float = 60.0
    """How long to wait for them."""


class CalledFunction(Value, frozen=True, array_like=True):
    """A function that was called."""

    function: str
    file: str
    """`~` for one that is written in C, as in Python's own profiles."""
    line: int
    short_file: str = ""
    calls: Count = 0
    """How often it began: a coroutine that goes on after a wait does not begin anew."""
    primitive: Count = 0
    """Of these, not from within itself."""
    own_ns: Nanoseconds = 0
    total_ns: Nanoseconds = 0
    """With what it called. What it waited for on the loop is in neither."""

    @property
    def where(self) -> CodePlace:
        """The function as people say it."""
        return (
            self.function
            if self.file == "~"
            else f"{self.short_file or self.file}:{self.line} {self.function}"
        )


class Call(Value, frozen=True, array_like=True):
    """That one function called another."""

    caller: int
    """A place in `Functions.functions`, like the next."""
    callee: int
    calls: Count
    primitive: Count
    own_ns: Nanoseconds
    total_ns: Nanoseconds


class Functions(Part, tag="functions-result"):
    """Which functions the requests of a route called in a worker, and what those took."""

    id: str
    pid: int
    taken_at: Nanoseconds
    took_ns: Nanoseconds
    route: RouteLabel
    requests: Count = 0
    """How many were measured."""
    asked: Count = 0
    elapsed_ns: Nanoseconds = 0
    """From the beginning of each request to its end, together."""
    loop_ns: Nanoseconds = 0
    """Of it at work on the event loop …"""
    threads_ns: Nanoseconds = 0
    """… and in threads."""
    functions: list[CalledFunction] = msgspec.field(default_factory=list)
    """Those with most time of their own first."""
    calls: list[Call] = msgspec.field(default_factory=list)
    functions_cut: Count = 0
    note: str = ""
