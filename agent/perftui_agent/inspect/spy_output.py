"""What py-spy says, read with suspicion: its JSON to threads, its complaints to failures.

py-spy reads names and paths out of another process's memory; they are whatever is there.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from perftui_agent.inspect.pyspy import CANNOT_START, Finished

_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What the wire's msgpack can carry in any language."""

Identifier = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A thread's number."""


class SpyFrame(msgspec.Struct, frozen=True):
    """One frame as py-spy gives it."""

    name: str
    filename: str
    line: _Integer

    @property
    def is_shim(self) -> bool:
        """Whether it is a frame of the interpreter's own making, and no code of anyone.

        `is_shim_entry` in py-spy's output is not this: it marks the real frame above a shim, the
        `<module>` of the main script with it (3.11, 3.12 and 3.13, py-spy 0.4.3).
        """
        return "<shim>" in (self.name, self.filename)


class SpyThread(msgspec.Struct, frozen=True):
    """One thread as py-spy gives it."""

    pid: Identifier
    thread_id: Identifier
    frames: list[SpyFrame]
    thread_name: str | None = None
    os_thread_id: Identifier | None = None
    active: bool = False
    owns_gil: bool = False

    @property
    def is_main(self) -> bool:
        """Whether it is the main thread: on Linux its number is the process's."""
        return self.os_thread_id == self.pid or self.thread_name == "MainThread"


class Failure(enum.Enum):
    """Why there is no dump."""

    GONE = enum.auto()
    DENIED = enum.auto()
    HELD = enum.auto()
    STOPPED = enum.auto()
    NOT_PYTHON = enum.auto()
    NOT_STARTED = enum.auto()
    TIMED_OUT = enum.auto()
    TOO_LARGE = enum.auto()
    UNREADABLE = enum.auto()


COMPLAINTS = (
    (CANNOT_START, Failure.NOT_STARTED),
    ("unexpected waitpid result", Failure.STOPPED),
    # A debugger or a sibling's py-spy has it: tracing is exclusive.
    ("Failed to suspend process", Failure.HELD),
    ("Permission Denied", Failure.DENIED),
    ("os error 13", Failure.DENIED),
    ("os error 1)", Failure.DENIED),
    ("Failed to get process executable name", Failure.GONE),
    ("No such process", Failure.GONE),
    ("os error 3)", Failure.GONE),
    ("Failed to find python version", Failure.NOT_PYTHON),
    # Also what is said of a stack of more than 4,096 frames.
    ("Failed to find a python interpreter", Failure.NOT_PYTHON),
)
"""What py-spy 0.4.3 says on stderr; the first that is found counts."""

_decoder = msgspec.json.Decoder(list[SpyThread])


def read_threads(finished: Finished) -> list[SpyThread] | Failure:
    """Return the threads py-spy saw, newest first as it gives them, or why there are none."""
    if finished.timed_out:
        return Failure.TIMED_OUT
    if finished.too_large:
        return Failure.TOO_LARGE
    if not finished.stdout.strip():
        return next((failure for text, failure in COMPLAINTS if text in finished.stderr), Failure.UNREADABLE)
    try:
        threads = _decoder.decode(finished.stdout)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Failure.UNREADABLE
    return threads or Failure.UNREADABLE
