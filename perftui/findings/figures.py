"""Numbers in a sentence: with their unit, and no more digits than they are worth."""

from __future__ import annotations


def ms(value: float) -> str:
    """Return a duration given in milliseconds: `0.6 ms`, `12 ms`, `1.9 s`, `4 m`."""
    if value < 9.95:
        return f"{value:.1f} ms"
    if value < 999.5:
        return f"{value:.0f} ms"
    seconds = value / 1000
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 599.5 else f"{seconds / 60:.0f} m"


def span(seconds: float) -> str:
    """Return the length of a window: `10 s`, `1 m`, `15 m`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} m" if seconds < 5970 else f"{seconds / 3600:.0f} h"


def percent(ratio: float) -> str:
    """Return a ratio of 0…1: `0.4 %`, `12 %`."""
    value = ratio * 100
    return f"{value:.1f} %" if value < 9.95 else f"{value:.0f} %"


def size(value: float) -> str:
    """Return a number of bytes: `38 kB`, `1.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if value >= 9.95 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def rate(value: float) -> str:
    """Return something per second: `0.4`, `9.5`, `412`."""
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def times(count: float) -> str:
    """Return how many times: `14×`, `3.5×`, `12,000×`."""
    return f"{count:,.0f}×" if count >= 9.95 or count == int(count) else f"{count:.1f}×"


def plural(count: int, noun: str) -> str:
    """Return `1 time-out`, `2 time-outs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
