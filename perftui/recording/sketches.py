"""Sketches that lie at the same place in many frames, as columns of numbers.

Of a sketch there are how many `values` it has, how many of those were not the first in their bucket
(`spare`), after how many times 64 buckets it begins (`low`), the `steps` from there to its first bucket and
to each next one, 1 at least, and how many more than one are in each (`more`). Its largest value is told as
how far it is `over` the bottom of its last bucket, its sum as how far `off` it is from what the buckets say.
One that is the same as the first of its part is told as `alike` and nothing else: of responses that come in
one piece, the time to the first byte is the latency. Whose figures contradict each other is left where it is.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice, pairwise, repeat
from operator import add, mul, sub
from typing import Any, NamedTuple

from perftui.model.packed import ALIGNED, LANE_BYTES, LAST_BUCKET, MAX_IN_A_BUCKET, Packed, lanes_of
from perftui.recording.blocks import BlockError
from perftui.recording.numbers import LARGEST, column_of, numbers_of, signed, unsigned
from perftui_agent.sketch import Bucket, Count, LatencySketch, bucket_bounds

FEW_BUCKETS = 16
"""Of so many on average, what they say tells a byte of the sum; of more it tells less, and takes longer."""

_BOTTOM: Sequence[int] = [bucket_bounds(bucket)[0] for bucket in range(LAST_BUCKET + 1)]
_MIDDLE: Sequence[int] = [sum(bucket_bounds(bucket)) // 2 for bucket in range(LAST_BUCKET + 1)]

_COLUMNS = ("values", "alike", "spare", "low", "steps", "more", "over", "off")


def take_sketches(parts: Sequence[Any], name: str, first: str) -> dict[str, bytes]:
    """Take the sketches called `name` out of `parts`; of each part the one called `first` is there still."""
    values: list[Count] = []
    alike: list[int] = []
    taken: list[LatencySketch] = []
    for part in parts:
        sketch: LatencySketch | None = getattr(part, name)
        if sketch is None:
            continue
        plain = _is_plain(sketch)
        same = plain and name != first and sketch == getattr(part, first)
        alike.append(same)
        values.append(sketch.count if plain and not same else 0)
        if plain:
            setattr(part, name, LatencySketch())
        if plain and not same:
            taken.append(sketch)
    columns = {"values": values, "alike": alike, **_told(taken)}
    return {what: column for what, numbers in columns.items() if (column := column_of(numbers))}


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


def _told(sketches: Sequence[LatencySketch]) -> dict[str, list[int]]:
    ordered = [sorted(each.buckets) for each in sketches]
    rows = list(zip(sketches, ordered, strict=True))
    more = [sketch.buckets[bucket] - 1 for sketch, own in rows for bucket in own]
    ends = list(accumulate(map(len, ordered), initial=0))
    said = _said(list(chain.from_iterable(ordered)), more, ends)
    return {
        "spare": [sketch.count - len(own) for sketch, own in rows],
        "low": [own[0] // ALIGNED for own in ordered],
        "steps": [step for own in ordered for step in (own[0] % ALIGNED + 1, *map(sub, own[1:], own))],
        "more": more,
        "over": [sketch.max - _BOTTOM[own[-1]] for sketch, own in rows],
        "off": [unsigned(each.total - each.max - known) for each, known in zip(sketches, said, strict=True)],
    }


def _said(buckets: Sequence[Bucket], more: Sequence[Count], ends: Sequence[int]) -> Sequence[int]:
    """Return what the values of each sketch but its largest would add up to, were they in the middle of their
    buckets. A sketch's `buckets` are those up to its end from the end of the one before."""
    if len(buckets) > FEW_BUCKETS * (len(ends) - 1):
        return [0] * (len(ends) - 1)
    middles = list(map(_MIDDLE.__getitem__, buckets))
    sums = list(accumulate(map(add, middles, map(mul, middles, more)), initial=0))
    return [sums[end] - sums[begin] - middles[end - 1] for begin, end in pairwise(ends)]


def put_sketches(
    parts: Sequence[Any], name: str, first: str, columns: Mapping[str, bytes], path: str, packs: bool
) -> None:
    """Put back what was taken out of `parts`, as `columns` that begin with `path` tell; packed, if wanted.

    `BlockError` if they contradict each other.
    """
    told = {what: columns.get(path + what, b"") for what in _COLUMNS}
    if not told["values"] and not told["alike"]:
        return
    there = [part for part in parts if getattr(part, name) is not None]
    values = numbers_of(told["values"], len(there))
    sketches = _sketches(list(filter(None, values)), told, packs)
    for part, count, alike in zip(there, values, numbers_of(told["alike"], len(there)), strict=True):
        if count:
            setattr(part, name, next(sketches))
        elif alike:
            setattr(part, name, _again(getattr(part, first)))


def _again(sketch: LatencySketch | Packed | None) -> LatencySketch | Packed:
    if sketch is None:
        raise BlockError("a sketch like one that is not there")
    if isinstance(sketch, Packed):
        return sketch  # nothing changes it
    return LatencySketch(sketch.count, sketch.total, sketch.max, dict(sketch.buckets))


class _Laid(NamedTuple):
    """Where the buckets of some sketches lie when one sketch lies behind the other."""

    ends: list[int]
    """How many buckets there are up to the end of each sketch; the first is 0."""
    ways: list[int]
    """How many lanes there are up to each bucket, its own included; the first is 0."""
    lows: list[Bucket]
    """The bucket of the lowest lane of each sketch."""
    lasts: list[Bucket]
    """The last bucket of each."""
    steps: array[int]
    more: array[int]

    def buckets(self) -> list[Bucket]:
        """Return the buckets of all of them."""
        before = [low - 1 - self.ways[end] for low, end in zip(self.lows, self.ends[:-1], strict=True)]
        sizes = map(sub, self.ends[1:], self.ends)
        return list(map(add, self.ways[1:], chain.from_iterable(map(repeat, before, sizes))))


def _laid_out(values: Sequence[Count], told: Mapping[str, bytes]) -> _Laid:
    spare = numbers_of(told["spare"], len(values))
    sizes = list(map(sub, values, spare))
    if min(sizes) < 1 or max(values) > MAX_IN_A_BUCKET:
        raise BlockError("a sketch of no buckets, or of too much")
    steps, more = (numbers_of(told[what], sum(sizes)) for what in ("steps", "more"))
    ends, ways = list(accumulate(sizes, initial=0)), list(accumulate(steps, initial=0))
    lows = [low * ALIGNED for low in numbers_of(told["low"], len(values))]
    lasts = [
        low + ways[end] - ways[begin] - 1 for low, (begin, end) in zip(lows, pairwise(ends), strict=True)
    ]
    if 0 in steps or max(lasts) > LAST_BUCKET or max(more) > MAX_IN_A_BUCKET or sum(more) != sum(spare):
        raise BlockError("a sketch whose figures contradict each other")
    return _Laid(ends, ways, lows, lasts, steps, more)


def _sketches(
    values: Sequence[Count], told: Mapping[str, bytes], packs: bool
) -> Iterator[LatencySketch | Packed]:
    """Yield the sketches that are told of."""
    if not values:
        return
    laid = _laid_out(values, told)
    ends, ways = laid.ends, laid.ways
    is_said = len(laid.steps) <= FEW_BUCKETS * len(values)
    buckets = laid.buckets() if is_said or not packs else range(len(laid.steps))
    said = _said(buckets, laid.more, ends)
    overs, offs = (numbers_of(told[what], len(values)) for what in ("over", "off"))
    largest = list(map(add, map(_BOTTOM.__getitem__, laid.lasts), overs))
    totals = list(map(add, map(add, map(signed, offs), said), largest))
    if max(largest) > LARGEST or min(totals) < 0 or max(totals) > LARGEST:
        raise BlockError("a sketch whose figures contradict each other")
    if packs:
        lanes = lanes_of(laid.steps, laid.more)
        borders = pairwise([LANE_BYTES * ways[end] for end in ends])
        for count, total, most, low, (begin, end) in zip(
            values, totals, largest, laid.lows, borders, strict=True
        ):
            yield Packed(count, total, most, low, int.from_bytes(lanes[begin:end], "little"))
    else:
        held = zip(buckets, map(add, laid.more, repeat(1)), strict=False)
        for count, total, most, size in zip(values, totals, largest, map(sub, ends[1:], ends), strict=True):
            yield LatencySketch(count, total, most, dict(islice(held, size)))
