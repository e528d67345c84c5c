"""Numbers of one kind as bytes that pack well: the lowest byte of each, then the next, as far as any goes.

Bytes of equal weight resemble each other, or are all chance, which is to be kept apart from what is not.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from perftui.recording.blocks import BlockError

LARGEST = (1 << 62) - 1
"""No number in a column is larger."""

MAX_NUMBERS = 8_000_000
"""No column holds more: ten seconds of a hundred busy workers are a million."""

_BYTES = 8

_KINDS = (("B", 1), ("H", 2), ("I", 4), ("Q", _BYTES))


def column_of(numbers: Iterable[int]) -> bytes:
    """Return the bytes of some numbers; none if all of them are 0."""
    # `array` is of the machine's order: little endian on those that Linux and macOS run on.
    rows = array("Q", numbers).tobytes()
    planes = [rows[weight::_BYTES] for weight in range(_BYTES)]
    while planes and not any(planes[-1]):
        planes.pop()
    return b"".join(planes)


def numbers_of(column: bytes, count: int) -> array[int]:
    """Return the numbers, of which there are to be so many; `BlockError` if there are not."""
    if not 0 <= count <= MAX_NUMBERS:
        raise BlockError(f"a column of {count} numbers")
    if not column:
        return array("B", bytes(count))
    width, rest = divmod(len(column), count) if count else (0, 1)
    if rest or width > _BYTES:
        raise BlockError(f"a column of {len(column)} bytes for {count} numbers")
    kind, size = next(each for each in _KINDS if each[1] >= width)
    rows = bytearray(size * count)
    for weight in range(width):
        rows[weight::size] = column[weight * count : (weight + 1) * count]
    return array(kind, bytes(rows))


def unsigned(number: int) -> int:
    """Return a number that may be negative as one that is not, small if that is."""
    return 2 * number if number >= 0 else -2 * number - 1


def signed(number: int) -> int:
    """Return what `unsigned` was given."""
    return (number >> 1) ^ -(number & 1)
