"""Which faults are on, and how that is said: by name, in a variable, in a file that all processes follow.

A list of names, separated by commas: `n-plus-one,db-lock`; `near:db-lock` is what looks nearly like that
fault and is none; `none` is a healthy shop, `all` the faults that the shop has unless told otherwise.
`SHOP_FAULTS` says what it starts with. From then on the file that `SHOP_FAULTS_FILE` names tells, to every
worker, to the customers and to the services that the shop calls.
"""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["off", "on", "near"]
"""Of one fault: `near` is its near miss."""

Modes: TypeAlias = Mapping[str, Mode]
"""By kind; what is off is not in it."""

NEAR = "near:"

USUAL = (
    *("n-plus-one", "loop-blocked", "missing-index", "large-payload"),
    *("error-burst", "pool-exhausted", "cache-thrash"),
)
"""What is wrong with the shop unless it is told otherwise."""

KINDS = tuple(
    sorted(
        (
            *USUAL,
            *("slo-breach", "repeated-query", "slow-query", "threadpool-exhausted", "low-hit-ratio"),
            *("cache-stampede", "slow-serialization", "stuck-request", "worker-imbalance", "cpu-saturated"),
            *("cpu-throttled", "memory-growth", "gc-pause", "queueing", "backlog-overflow", "db-lock"),
            *("idle-in-transaction", "db-connections", "upstream-slow", "upstream-errors"),
            *("client-pool-exhausted", "chatty-upstream", "client-per-request", "slow-messages"),
            *("worker-lost", "worker-restarted"),
        )
    )
)
"""Every kind of finding has a fault of its name: see the file of that name beside this one."""

POLL_S = 0.2
"""How often the file is looked at."""


class UnknownFaultError(ValueError):
    """A fault is named that this shop doesn't have."""


def parse(text: str) -> Modes:
    """Return what `text` switches on; raises `UnknownFaultError` with the names that are near."""
    modes: dict[str, Mode] = {}
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name == "all":
            modes.update(dict.fromkeys(USUAL, "on"))
        elif name != "none":
            kind = name.removeprefix(NEAR)
            if kind not in KINDS:
                raise UnknownFaultError(_unknown(kind))
            modes[kind] = "near" if name.startswith(NEAR) else "on"
    return modes


def _unknown(kind: str) -> str:
    near = difflib.get_close_matches(kind, KINDS, n=3, cutoff=0.5)
    near = near or [known for known in KINDS if kind and kind in known][:3]
    meant = f"did you mean {' or '.join(near)}?" if near else "all of them: perftui demo --fault list"
    return f"no fault {kind!r}: {meant}"


def written(modes: Modes) -> str:
    """Return what `parse` reads."""
    return ",".join((NEAR if mode == "near" else "") + kind for kind, mode in modes.items()) or "none"


def switches_file() -> Path | None:
    """Return the file that tells, if there is one."""
    path = os.environ.get("SHOP_FAULTS_FILE")
    return Path(path) if path else None


class Switches:
    """What is on in this process."""

    def __init__(self, text: str, file: Path | None = None) -> None:
        self._file = file
        self._seen = ""
        self.modes: Modes = parse(text)
        self.follow()

    def follow(self) -> bool:
        """Read the file again; say whether it tells something new. A line without an end is not all of it."""
        try:
            text = self._file.read_text() if self._file else ""
        except OSError:
            return False
        if text == self._seen or not text.endswith("\n"):
            return False
        self._seen = text
        before, self.modes = self.modes, parse(text.strip())
        return before != self.modes

    async def changed(self) -> None:
        """Return when the file has told something new."""
        while True:
            await asyncio.sleep(POLL_S)
            if self.follow():
                return

    def write(self, modes: Modes) -> None:
        """Tell all processes; raises OSError, and ValueError where there is no file to tell them by."""
        if self._file is None:
            raise ValueError("SHOP_FAULTS_FILE names no file that its processes follow: start perftui demo")
        building = self._file.with_suffix(f".{os.getpid()}")
        building.write_text(written(modes) + "\n")
        building.replace(self._file)


SWITCHES = Switches(os.environ.get("SHOP_FAULTS", "all"), switches_file())


def mode(kind: str) -> Mode:
    """Return whether the fault is on in this process, or its near miss, or neither."""
    return SWITCHES.modes.get(kind, "off")


def active(kind: str) -> bool:
    """Say whether the fault is on in this process."""
    return SWITCHES.modes.get(kind) == "on"
