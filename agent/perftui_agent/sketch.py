"""A mergeable quantile sketch over non-negative integers.

Takes durations in nanoseconds (or sizes in bytes), gives quantiles within 1 % of the true
value, refuses nothing: a negative value counts as 0, one past `LARGEST` as `LARGEST`.

Buckets are log-linear, as in HdrHistogram: 64 to each power of two, values below 128 exact. The
index is two integer operations, several times cheaper than the logarithm a DDSketch needs, and
the middle of a bucket is at most 1/128 (0.78 %) away from anything that fell into it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, TypeAlias

import msgspec

Bucket: TypeAlias = int
"""The index of a bucket: see `bucket_of`."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""How many values: never negative, so a merged count never runs backwards."""

RELATIVE_ERROR = 1 / 128
"""The largest relative distance between a value and the middle of its bucket."""

LARGEST = (1 << 50) - 1
"""The largest value told apart: 13 days in nanoseconds, 1 PiB in bytes."""

_SUB_BUCKET_BITS = 6

SHIFTS = [max(0, length - _SUB_BUCKET_BITS - 1) for length in range(LARGEST.bit_length() + 1)]
"""By the length of a value in bits: how many of its last bits don't tell its bucket."""

BUCKETS: list[list[Bucket]] = [
    [(shift << _SUB_BUCKET_BITS) + bits for bits in range(2 << _SUB_BUCKET_BITS)] for shift in SHIFTS
]
"""By the length of a value, and the bits that do: its bucket. A bucket is always the same object, which a
dictionary finds at two thirds of the price, since it need not compare."""


def bucket_of(value: int) -> Bucket:
    """Return the bucket that holds `value` (0 ≤ value ≤ LARGEST)."""
    length = value.bit_length()
    return BUCKETS[length][value >> SHIFTS[length]]


def bucket_bounds(bucket: Bucket) -> tuple[int, int]:
    """Return the half-open range [low, high) of the values in `bucket`."""
    shift = (bucket >> _SUB_BUCKET_BITS) - 1
    if shift <= 0:
        return bucket, bucket + 1
    low = (bucket - (shift << _SUB_BUCKET_BITS)) << shift
    return low, low + (1 << shift)


class LatencySketch(msgspec.Struct, array_like=True, gc=False):
    """Counts per bucket, with the exact count, sum and maximum beside them.

    It travels as it is: `[count, total, max, {bucket: count}]`. It holds integers alone and so can't be
    part of a cycle: the garbage collector need not visit the hundreds of thousands a client keeps.
    """

    count: Count = 0
    total: Count = 0
    max: Count = 0
    buckets: dict[Bucket, Count] = {}

    def add(self, value: int) -> None:
        """Count one value."""
        # `bucket_of`, unrolled: this runs several times per request.
        if 0 < value <= LARGEST:
            length = value.bit_length()
            bucket = BUCKETS[length][value >> SHIFTS[length]]
            self.total += value
            if value > self.max:
                self.max = value
        elif value <= 0:
            bucket = 0
        else:
            self.add(LARGEST)
            return
        self.count += 1
        buckets = self.buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def add_all(self, values: Sequence[int]) -> None:
        """Count several values, none of them negative, at half the price of one after the other."""
        if not values:
            return
        largest = max(values)
        if largest > LARGEST:
            for value in values:
                self.add(value)
            return
        self.count += len(values)
        self.total += sum(values)
        if largest > self.max:
            self.max = largest
        buckets = self.buckets
        get, rows, shifts = buckets.get, BUCKETS, SHIFTS
        for value in values:  # `bucket_of`, unrolled as in `add`
            length = value.bit_length()
            bucket = rows[length][value >> shifts[length]]
            buckets[bucket] = get(bucket, 0) + 1

    def add_alike(self, values: Sequence[int]) -> None:
        """Count several values, many of them the same, as sizes of bodies are: at a fifth of that price."""
        for value, count in Counter(values).items():
            bounded = min(max(value, 0), LARGEST)
            bucket = bucket_of(bounded)
            self.count += count
            self.total += bounded * count
            self.max = max(self.max, bounded)
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def merge(self, other: LatencySketch) -> None:
        """Add everything `other` has counted to this sketch."""
        self.count += other.count
        self.total += other.total
        if other.max > self.max:
            self.max = other.max
        buckets = self.buckets
        for bucket, count in other.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + count

    def quantile(self, q: float) -> float | None:
        """Return the value at quantile `q` (0…1) by nearest rank; None when nothing was counted.

        The answer is the smallest counted value that at least `q` of all values do not exceed,
        within `RELATIVE_ERROR` of itself, and never above the exact maximum.
        """
        total = sum(self.buckets.values())
        if total == 0:
            return None
        # Nearest rank: ceil(q·n), in integers so that 0.95 × 100 is 95 and not 95.00000000000001.
        rank = max(1, -((-round(q * 1_000_000) * total) // 1_000_000))
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                low, high = bucket_bounds(bucket)
                middle = (low + high - 1) / 2
                return min(middle, float(self.max)) if self.max else middle
        raise AssertionError("the rank lies within the count")  # pragma: no cover

    def mean(self) -> float | None:
        """Return the exact mean; None when nothing was counted."""
        return self.total / self.count if self.count else None

    def ranges(self) -> Iterator[tuple[int, int, int]]:
        """Yield `(low, high, count)` for each non-empty bucket, lowest first."""
        for bucket in sorted(self.buckets):
            yield *bucket_bounds(bucket), self.buckets[bucket]

    @classmethod
    def merged(cls, sketches: Iterable[LatencySketch]) -> LatencySketch:
        """Return a new sketch of everything in `sketches`; none of them is changed."""
        result = cls()
        for sketch in sketches:
            result.merge(sketch)
        return result
