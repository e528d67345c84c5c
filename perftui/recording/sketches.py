"""Sketches that lie at the same place in many frames, as columns of numbers.

Of a sketch there are how many `values` it has, how many of those were not the first in their bucket
(`spare`), its `first` bucket, the `steps` to each next one, and how many more than one are in each (`more`).
Its largest value is told as how far it is `over` the bottom of its last bucket, its sum as how far `off` it
is from what the buckets say. One that is the same as the first of its part is told as `alike` and nothing
else: of responses that come in one piece, the time to the first byte is the latency. Whose figures contradict
each other is left where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import mul, sub
from typing import Any, NamedTuple

from perftui.model.packed import LAST_BUCKET, MAX_IN_A_BUCKET, Packed, packed_steps
from perftui.recording.blocks import BlockError
from perftui.recording.numbers import LARGEST, column_of, numbers_of, signed, unsigned
from perftui_agent.sketch import Bucket, Count, LatencySketch, bucket_bounds

FEW_BUCKETS = 16
"""Of so many, what they say tells a byte of the sum; of more it tells less, and takes longer to add up."""

_BOTTOM: Sequence[int] = [bucket_bounds(bucket)[0] for bucket in range(LAST_BUCKET + 1)]
_MIDDLE: Sequence[int] = [sum(bucket_bounds(bucket)) // 2 for bucket in range(LAST_BUCKET + 1)]


class _Told(NamedTuple):
    """What is told of the sketches of one place."""

    values: list[Count]
    alike: list[int]
    spare: list[int]
    first: list[Bucket]
    steps: list[int]
    more: list[Count]
    over: list[int]
    off: list[int]


def take_sketches(parts: Sequence[Any], name: str, first: str) -> dict[str, bytes]:
    """Take the sketches called `name` out of `parts`; of each part the one called `first` is there still."""
    told = _Told([], [], [], [], [], [], [], [])
    for part in parts:
        sketch: LatencySketch | None = getattr(part, name)
        if sketch is None:
            continue
        plain = _is_plain(sketch)
        alike = plain and name != first and sketch == getattr(part, first)
        told.alike.append(alike)
        told.values.append(sketch.count if plain and not alike else 0)
        if plain:
            setattr(part, name, LatencySketch())
            if not alike:
                _tell(sketch, told)
    return {
        what: made for what, numbers in zip(told._fields, told, strict=True) if (made := column_of(numbers))
    }


def _tell(sketch: LatencySketch, told: _Told) -> None:
    buckets = sorted(sketch.buckets)
    counts = list(map(sketch.buckets.__getitem__, buckets))
    told.spare.append(sketch.count - len(buckets))
    told.first.append(buckets[0])
    told.steps.extend(map(sub, buckets[1:], buckets))
    told.more.extend([count - 1 for count in counts])
    told.over.append(sketch.max - _BOTTOM[buckets[-1]])
    told.off.append(unsigned(sketch.total - _expected(sketch.buckets, buckets[-1], sketch.max)))


def _is_plain(sketch: LatencySketch) -> bool:
    """Tell whether its columns say all of it."""
    buckets = sketch.buckets
    return (
        bool(buckets)
        and min(buckets) >= 0
        and max(buckets) <= LAST_BUCKET
        and min(buckets.values()) > 0
        and sum(buckets.values()) == sketch.count <= MAX_IN_A_BUCKET
        and _BOTTOM[max(buckets)] <= sketch.max <= LARGEST
        and sketch.total < LARGEST // 2
    )


def _expected(buckets: Mapping[Bucket, Count], last: Bucket, largest: int) -> int:
    """Return what the values would add up to, were all but the largest in the middle of their buckets."""
    if len(buckets) > FEW_BUCKETS:
        return 0
    said: int = sum(map(mul, map(_MIDDLE.__getitem__, buckets), buckets.values()))
    return said - _MIDDLE[last] + largest


def put_sketches(
    parts: Sequence[Any], name: str, first: str, columns: Mapping[str, bytes], path: str, packs: bool
) -> None:
    """Put back what was taken out of `parts`, as `columns` that begin with `path` tell; packed, if wanted.

    `BlockError` if they contradict each other.
    """
    told = {what: columns.get(path + what, b"") for what in _Told._fields}
    if not told["values"] and not told["alike"]:
        return
    there = [part for part in parts if getattr(part, name) is not None]
    counts = numbers_of(told["values"], len(there))
    sketches = _sketches([count for count in counts if count], told, packs)
    for part, count, alike in zip(there, counts, numbers_of(told["alike"], len(there)), strict=True):
        if count:
            setattr(part, name, next(sketches))
        elif alike:
            setattr(part, name, _again(getattr(part, first)))


def _again(sketch: LatencySketch | Packed | None) -> LatencySketch | Packed:
    match sketch:
        case None:
            raise BlockError("a sketch like one that is not there")
        case Packed():
            return sketch  # nothing changes it
        case LatencySketch(count, total, largest, buckets):
            return LatencySketch(count, total, largest, dict(buckets))


def _sketches(
    counts: Sequence[Count], told: Mapping[str, bytes], packs: bool
) -> Iterator[LatencySketch | Packed]:
    """Yield the sketches that are told of."""
    sizes = list(map(sub, counts, numbers_of(told["spare"], len(counts))))
    if min(sizes, default=1) < 1 or max(counts, default=0) > MAX_IN_A_BUCKET:
        raise BlockError("a sketch of no buckets, or of too much")
    all_steps = numbers_of(told["steps"], sum(sizes) - len(sizes))
    all_more = numbers_of(told["more"], sum(sizes))
    if 0 in all_steps:
        raise BlockError("a bucket that is there twice")
    rest = (numbers_of(told[what], len(counts)) for what in ("first", "over", "off"))
    step_at = more_at = 0
    for count, size, first, over, off in zip(counts, sizes, *rest, strict=True):
        steps = all_steps[step_at : (step_at := step_at + size - 1)]
        more = all_more[more_at : (more_at := more_at + size)]
        last = first + sum(steps)
        if last > LAST_BUCKET or sum(more) + size != count:
            raise BlockError("a sketch whose figures contradict each other")
        largest, total = _BOTTOM[last] + over, signed(off)
        buckets = {}
        if size <= FEW_BUCKETS or not packs:
            found = accumulate(steps, initial=first)
            buckets = {bucket: each + 1 for bucket, each in zip(found, more, strict=True)}
            total += _expected(buckets, last, largest)
        if largest > LARGEST or not 0 <= total <= LARGEST:
            raise BlockError("a sketch whose figures contradict each other")
        if packs:
            yield packed_steps(count, total, largest, first, steps, more)
        else:
            yield LatencySketch(count, total, largest, buckets)
