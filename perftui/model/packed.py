"""Sketches and counters packed into single integers, so that adding up is adding.

A window is the sum of dozens of stretches of hundreds of routes. Merging two sketches bucket by bucket
takes 5 µs at a hundred buckets; here the buckets stand side by side in one long integer, 32 bits each,
and merging is one addition: 0.3 µs, and half of the memory. Nothing packed ever changes, so a sum of
one part is that part.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import cast

import msgspec

from perftui_agent.sketch import LARGEST, Bucket, Count, LatencySketch, bucket_bounds, bucket_of

LAST_BUCKET: Bucket = bucket_of(LARGEST)

MAX_IN_A_BUCKET: Count = 1 << 20
"""What one frame may count in one bucket: 4,000 of them add up without running into the next."""

MAX_COUNTER = 1 << 50
"""What one frame may count otherwise: in nanoseconds, 13 days."""

LANE_BYTES = 4

_PAIR_BYTES = 2 * LANE_BYTES

MAX_KNOWN_LANES = 1 << 14
"""A busy minute has some hundred different ones."""

ALIGNED = 64
"""The lowest lane is that of a multiple of so many: sketches of like values begin with the same and need no
shift, which costs as much as the sum."""

_ALIGNED = -ALIGNED


class Packed(msgspec.Struct, frozen=True, gc=False):
    """A sketch that doesn't change."""

    count: int = 0
    total: int = 0
    max: int = 0
    low: Bucket = 0
    """The bucket of the lowest lane, a whole power of two."""
    lanes: int = 0
    """The counts of the buckets from `low` on, 32 bits each."""

    def counts(self) -> array[int]:
        """Return the counts of the buckets from `low` on."""
        # `array` and `to_bytes` agree on machines of little endian: those that Linux and macOS run on.
        lanes = array("I")
        length = (self.lanes.bit_length() + 31) // 32
        lanes.frombytes(self.lanes.to_bytes(length * LANE_BYTES, "little"))
        return lanes

    def ranges(self) -> Iterator[tuple[int, int, int]]:
        """Yield `(low, high, count)` for each non-empty bucket, lowest first."""
        for bucket, count in enumerate(self.counts(), self.low):
            if count:
                yield *bucket_bounds(bucket), count

    def unpacked(self) -> LatencySketch:
        """Return it as the wire has it."""
        buckets = {bucket: count for bucket, count in enumerate(self.counts(), self.low) if count}
        return LatencySketch(self.count, self.total, self.max, buckets)


NOTHING = Packed()


def packed(sketches: Sequence[LatencySketch | Packed]) -> Packed:
    """Return everything that `sketches` have counted."""
    done = [each for each in sketches if isinstance(each, Packed)]
    if done:
        return merged([*done, packed([each for each in sketches if not isinstance(each, Packed)])])
    return _packed(cast("Sequence[LatencySketch]", sketches))


def _packed(sketches: Sequence[LatencySketch]) -> Packed:
    # With as many values as buckets there is one in each, which is half of the price.
    singles = list(
        chain.from_iterable([each.buckets for each in sketches if each.count == len(each.buckets)])
    )
    others = [each.buckets for each in sketches if each.count != len(each.buckets)]
    # All in one row: to ask sixteen small dicts one after the other takes half as long again.
    several = list(chain.from_iterable(others))
    numbers = list(chain.from_iterable([each.values() for each in others]))
    buckets = singles + several
    if not buckets:
        return NOTHING
    low, high = min(buckets) & _ALIGNED, max(buckets)
    # Bytes from outside may claim anything: an index of 2^60 would be an integer of 2^65 bits.
    if low < 0 or high > LAST_BUCKET or sum(numbers) > MAX_IN_A_BUCKET:
        bounded = _bounded([sketch.buckets for sketch in sketches])
        singles, several, numbers = [], list(bounded), list(bounded.values())
        low, high = min(several) & _ALIGNED, max(several)
    # Straight into the lanes: to add them up in a dict before took three times as long for ten seconds
    # of four workers, whose buckets hold several requests each.
    lanes = array("I", bytes(LANE_BYTES * (high - low + 1)))
    for bucket in singles:
        lanes[bucket - low] += 1
    for bucket, number in zip(several, numbers, strict=True):
        lanes[bucket - low] += number
    return Packed(
        sum([sketch.count for sketch in sketches]),
        sum([sketch.total for sketch in sketches]),
        max([sketch.max for sketch in sketches]),
        low,
        int.from_bytes(lanes.tobytes(), "little"),
    )


def lanes_of(steps: array[int], more: array[int]) -> bytes:
    """Return the lanes of buckets that are so many `steps` from one to the next, at least 1, and hold so many
    `more` than one.

    A recording has them so: of those of a minute, this takes a fifth of what it takes to add them up.
    """
    rows = bytearray(_PAIR_BYTES * len(steps))
    for begin, numbers in ((0, steps), (LANE_BYTES, more)):
        data, size = numbers.tobytes(), numbers.itemsize
        for weight in range(min(size, LANE_BYTES)):
            rows[begin + weight :: _PAIR_BYTES] = data[weight::size]
    return b"".join(map(_lanes.__getitem__, array("Q", bytes(rows))))


class _Lanes(dict[int, bytes]):
    """By steps, and how many more times 2^32: the lanes of a bucket and of the empty ones before."""

    def __missing__(self, pair: int) -> bytes:
        if len(self) >= MAX_KNOWN_LANES:
            self.clear()
        more, steps = divmod(pair, 1 << 8 * LANE_BYTES)
        self[pair] = made = bytes(LANE_BYTES * (steps - 1)) + (more + 1).to_bytes(LANE_BYTES, "little")
        return made


_lanes = _Lanes()


def _bounded(several: Iterable[Mapping[Bucket, Count]]) -> dict[Bucket, Count]:
    bounded: dict[Bucket, Count] = {}
    for buckets in several:
        for bucket, number in buckets.items():
            place = min(max(bucket, 0), LAST_BUCKET)
            bounded[place] = min(bounded.get(place, 0) + max(number, 0), MAX_IN_A_BUCKET)
    return bounded


def merged(parts: Iterable[Packed]) -> Packed:
    """Return everything that `parts` have counted."""
    some = [part for part in parts if part.count or part.lanes]
    if len(some) < 2:
        return some[0] if some else NOTHING
    low = min([part.low for part in some])
    count = total = largest = lanes = 0
    for part in some:
        count += part.count
        total += part.total
        if part.max > largest:
            largest = part.max
        lanes += part.lanes if part.low == low else part.lanes << 32 * (part.low - low)
    return Packed(count, total, largest, low, lanes)


class Counters:
    """Counters that always go together, side by side in one integer of 64 bits each."""

    def __init__(self, number: int) -> None:
        self._layout = struct.Struct(f"<{number}Q")
        self._all = (1 << 64 * number) - 1
        self._beyond = sum((0xFFFFFFFFFFFFFFFF - (MAX_COUNTER - 1)) << 64 * place for place in range(number))

    def pack(self, values: Iterable[int]) -> int:
        """Return `values` as one integer; sums of such integers are the sums of the values."""
        counted = tuple(values)
        try:
            packed = int.from_bytes(self._layout.pack(*counted), "little")
        except struct.error:  # what no agent counts
            packed = self._beyond
        if packed & self._beyond:
            bounded = (min(max(value, 0), MAX_COUNTER - 1) for value in counted)
            packed = int.from_bytes(self._layout.pack(*bounded), "little")
        return packed

    def unpack(self, packed: int) -> tuple[int, ...]:
        """Return the values again."""
        return self._layout.unpack((packed & self._all).to_bytes(self._layout.size, "little"))
