"""How a process ended, in plain words: told by a sibling that saw it, or read afterwards where nobody did."""

from __future__ import annotations

import signal

import msgspec

ENDED = "worker-ended"
"""The kind of evidence that tells of it."""

OUT_OF_MEMORY = "out-of-memory"

_CRASHES = {
    "SIGSEGV": "a segmentation fault",
    "SIGABRT": "abort()",
    "SIGBUS": "a bus error",
    "SIGFPE": "an arithmetic error in C",
    "SIGILL": "an illegal instruction",
    "SIGTRAP": "a trap",
    "SIGSYS": "a forbidden system call",
}


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an end."""

    signal: int = 0
    """0 for none: then it has exited by itself, with …"""
    code: int = 0
    out_of_memory: bool = False
    """The counter of kills in its memory group has risen in that moment …"""
    host_out_of_memory: bool = False
    """… or that of the host."""
    memory_known: bool = False
    """Whether those counters could be read: else it may have been memory all the same."""
    limit_bytes: int | None = None
    score: int | None = None
    """The kernel's `oom_score`, shortly before."""

    @property
    def name(self) -> str:
        """The signal as it is called, or `exit 3`."""
        if not self.signal:
            return f"exit {self.code}"
        try:
            return signal.Signals(self.signal).name
        except ValueError:
            return f"signal {self.signal}"


def sentence(ending: Ending) -> str:
    """Return it as people say it: `killed by SIGKILL`, `crashed: a segmentation fault (SIGSEGV)`."""
    score = f"; the kernel's score for it was {ending.score}" if ending.score is not None else ""
    if ending.out_of_memory:
        limit = f" of {ending.limit_bytes / 1e6:.0f} MB" if ending.limit_bytes else ""
        return f"out of memory: ended by the kernel, as its memory group{limit} was full{score}"
    if ending.host_out_of_memory:
        return f"killed by SIGKILL, as this host's kernel ended something for lack of memory{score}"
    if not ending.signal:
        return f"exited with code {ending.code}, without stopping in order"
    if (crash := _CRASHES.get(ending.name)) is not None:
        return f"crashed: {crash} ({ending.name})"
    if ending.name == "SIGKILL":
        return "killed by SIGKILL, as by kill -9" + (
            "; memory had not run out" if ending.memory_known else ""
        )
    return f"ended by {ending.name}"
