"""What the merges of frames' parts share: counts added up, sketches merged, rows matched by their key."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from perftui_agent.sketch import LatencySketch

Part = TypeVar("Part")

KEPT_OF_A_KIND = 20
"""Routes, call sites, kinds of failures and repetitions of one row."""

OTHER = "(other)"


def merge_parts(
    older: list[Part],
    newer: list[Part],
    key: Callable[[Part], Hashable],
    merge: Callable[[Part, Part], None],
) -> None:
    """Have `older` hold what `newer` does too: rows of one key as one."""
    known = {key(part): part for part in older}
    for part in newer:
        same = known.get(key(part))
        if same is None:
            older.append(part)
        else:
            merge(same, part)


def add(older: object, newer: object, fields: tuple[str, ...]) -> None:
    """Add these fields of `newer` to those of `older`."""
    for field in fields:
        setattr(older, field, getattr(older, field) + getattr(newer, field))


def merge_optional(older: LatencySketch | None, newer: LatencySketch | None) -> LatencySketch | None:
    """Return what both have counted; None if neither is there."""
    if older is None or newer is None:
        return older or newer
    older.merge(newer)
    return older


def added_counts(older: dict[str, int], newer: dict[str, int]) -> dict[str, int]:
    """Return the counts of both added up, the smallest as `(other)` when there are many."""
    added = dict(older)
    for name, count in newer.items():
        added[name] = added.get(name, 0) + count
    return bounded_counts(added, KEPT_OF_A_KIND)


def bounded_counts(counts: dict[str, int], most: int) -> dict[str, int]:
    """Return at most so many counts, the largest; the others share `(other)`."""
    if len(counts) <= most:
        return counts
    ordered = sorted(counts, key=lambda name: (name == OTHER, -counts[name]))
    kept = {name: counts[name] for name in ordered[: most - 1]}
    kept[OTHER] = sum(counts[name] for name in ordered[most - 1 :])
    return kept
