"""What was read of this place, and nothing of what it means: the checks take this and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from perftui.record import Record
from perftui_agent.wire.standing import Machine, Rights, Standing

Verdict: TypeAlias = Literal["ok", "note", "wrong"]
"""All well; worth knowing, and nothing is lost by it; in the way."""


class Check(Record, frozen=True):
    """One judgement."""

    name: str
    """What was looked at: `terminal`, `dump`."""
    verdict: Verdict
    sentence: str
    mend: str = ""
    """What to type, or to write where."""
    worker: int | None = None
    """The pid of the worker that it is about; None for this host."""


class Shell(Record, frozen=True):
    """The terminal that perftui was called from."""

    is_terminal: bool = True
    term: str = "xterm-256color"
    colour: str = ""
    """`COLORTERM`, as the terminal sets it."""
    no_colour: bool = False
    utf8: bool = True
    columns: int = 80
    rows: int = 24
    inside: str = ""
    """`tmux`, `screen`: what the terminal is in."""


class Directory(Record, frozen=True):
    """A directory where workers may have registered."""

    path: str
    chosen_by: str
    """`PERFTUI_RUNTIME_DIR`, `XDG_RUNTIME_DIR`, or empty for the one that is always there."""
    exists: bool = True
    problem: str = ""
    """Why it is not believed, or can't be read."""
    writable: bool = True
    read_only: bool = False
    """Whether the whole file system is."""
    full: bool = False


class Worker(Record, frozen=True):
    """A worker that registered, or does not and should."""

    pid: int
    service: str = ""
    agent: str = ""
    wire: int = 0
    python: str = ""
    has_box: bool = True
    state: str = "live"
    """As its stream stands: `connecting`, `live`, `silent`, `gone`."""
    standing: Standing | None = None
    unanswered: str = ""
    """Why its agent did not say how it stands."""
    rights: Rights | None = None
    """As seen from outside."""
    writes_on: int | None = None
    """The signal on which it writes its own stacks; None if on none."""


class Absent(Record, frozen=True):
    """A target that nobody can be found for."""

    target: str
    problem: str
    advice: str


class Knocked(Record, frozen=True):
    """A remote door of this host that was knocked at with the token of this shell."""

    target: str
    problem: str = ""
    """Why it did not open."""
    advice: str = ""
    knows_token: bool = False
    """Whether it did not open although the token is the right one."""


class Surroundings(Record, frozen=True):
    """All that was read."""

    uid: int = 1000
    perftui: str = ""
    wire: int = 1
    machine: Machine = Machine()
    rights: Rights | None = None
    """Of this very process."""
    spy: str = ""
    spy_version: str = ""
    variables: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Those of this shell that begin with PERFTUI_."""
    xdg: str = ""
    """`XDG_RUNTIME_DIR` as it is set."""
    xdg_problem: str = ""
    """Why it is not used."""
    shell: Shell = Shell()
    directories: tuple[Directory, ...] = ()
    workers: tuple[Worker, ...] = ()
    elsewhere: tuple[str, ...] = ()
    """Workers that can't be reached from here, and why."""
    absent: tuple[Absent, ...] = ()
    doors: tuple[Knocked, ...] = ()
