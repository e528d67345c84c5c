"""What the agent takes of the process's memory: an estimate, and called one.

A process has one resident size, whoever fills it. Two parts of the agent's share can be told: by how much
the process's memory rose as the agent's modules were imported, and how large the objects are that the agent
holds, its tables and what waits to be sent. The thread's stack and what the allocator keeps between objects
are left out: `tests/benchmarks/memory.py` holds the estimate against workers without the agent.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from array import array
from collections import OrderedDict, defaultdict, deque

import msgspec

from perftui_agent.records import RequestRecord

FIRST_AFTER_FRAMES = 10
WEIGH_EVERY_FRAMES = 60

SAMPLED = 16
"""Entries of a table that are weighed for all of them. A worker with 500 routes holds 30,000 objects, which
would take 100 ms; so it is 5."""

_HOLDERS = (dict, list, set, tuple, frozenset, deque, OrderedDict, defaultdict, asyncio.Queue)
_LEAVES = (str, bytes, bytearray, array, RequestRecord)
"""A request's record leads to its scope, which is the server's. Numbers are left out: those of buckets are
shared by all sketches, and small ones by all the process."""


class Footprint:
    """Weighs what `roots` hold, as it begins and once a minute; for the agent's thread."""

    def __init__(self, imported_bytes: int | None, *roots: object) -> None:
        self._imported_bytes = imported_bytes
        self._roots = roots
        self._frames_to_go = 0
        self._rests_frames = FIRST_AFTER_FRAMES
        self._held_bytes = 0

    def read(self) -> int | None:
        """Return the estimate, called once a frame; None where the import could not be watched."""
        if self._imported_bytes is None:
            return None
        if self._frames_to_go == 0:
            self._held_bytes = weigh(*self._roots)
            self._frames_to_go, self._rests_frames = self._rests_frames, WEIGH_EVERY_FRAMES
        self._frames_to_go -= 1
        return self._imported_bytes + self._held_bytes


def weigh(*roots: object) -> int:
    """Return about how many bytes the containers, texts and objects of ours take that `roots` lead to."""
    seen: set[int] = set()
    waiting = [(root, 1.0) for root in roots]
    total = 0.0
    while waiting:
        one, times = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        total += sys.getsizeof(one) * times
        parts, of_all = _parts(one)
        waiting += [(part, times * of_all) for part in parts]
    return round(total)


def _parts(one: object) -> tuple[list[object], float]:
    """Return what of `one` is weighed, and for how many of its parts each of these stands."""
    if isinstance(one, _LEAVES):
        return [], 1.0
    if isinstance(one, msgspec.Struct):
        # Those that hide from the garbage collector tell it of no parts.
        return [part for name in one.__struct_fields__ if _is_weighed(part := getattr(one, name))], 1.0
    if isinstance(one, dict):
        items = list(one.items())
        chosen = items[:: len(items) // SAMPLED + 1]
        return [part for item in chosen for part in item if _is_weighed(part)], len(items) / len(
            chosen or [0]
        )
    parts = [part for part in gc.get_referents(one) if _is_weighed(part)]
    if isinstance(one, _HOLDERS):
        some = parts[:: len(parts) // SAMPLED + 1]
        return some, len(parts) / len(some or [0])
    return parts, 1.0


def _is_weighed(one: object) -> bool:
    kind = type(one)
    return kind in _LEAVES or kind in _HOLDERS or kind.__module__.startswith("perftui_agent.")
