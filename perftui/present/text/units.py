"""Numbers as people read them, never wider than promised, so that only digits change on the screen.

Takes a value or None, gives text. None is "no data" and always reads `–`: it is never shown as 0.
"""

from __future__ import annotations

import math
import time

NO_DATA = "–"

MS_WIDTH = 6
"""The widest `ms`: `<0.1ms`."""

RATE_WIDTH = 5
"""The widest `rate`: `99.9k`."""

PERCENT_WIDTH = 5
"""The widest `percent`: `<0.1%`."""

SIZE_WIDTH = 6
"""The widest `size`: `999 kB`."""


def ms(value: float | None) -> str:
    """Return a duration given in milliseconds: `0.6ms`, `12ms`, `2.31s`, `17m`, `3.0h`."""
    if value is None or math.isnan(value):
        return NO_DATA
    if value <= 0:
        return "0ms"
    if value < 0.095:
        return "<0.1ms"
    if value < 9.95:
        return f"{value:.1f}ms"
    if value < 999.5:
        return f"{value:.0f}ms"
    seconds = value / 1000
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 99.95:
        return f"{seconds:.1f}s"
    if seconds < 999.5:
        return f"{seconds:.0f}s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f}m"
    return f"{min(seconds / 3600, 9999):.0f}h"


def rate(value: float | None) -> str:
    """Return something per second: `0.04`, `41.0`, `412`, `12.3k`, `4.1M`."""
    if value is None or math.isnan(value):
        return NO_DATA
    if value <= 0:
        return "0"
    if value < 0.005:
        return "<0.01"
    if value < 0.995:
        return f"{value:.2f}"
    if value < 99.95:
        return f"{value:.1f}"
    if value < 9999.5:
        return f"{value:.0f}"
    return _scaled(value)


def count(value: int | None) -> str:
    """Return a count in full: `24,731`."""
    return NO_DATA if value is None else f"{value:,}"


def short_count(value: float | None) -> str:
    """Return a count in at most five cells: `731`, `24.7k`, `1.2M`."""
    if value is None:
        return NO_DATA
    return f"{value:.0f}" if value < 9999.5 else _scaled(value)


def percent(ratio: float | None) -> str:
    """Return a ratio of 0…1 as a percentage: `0.0%`, `<0.1%`, `1.1%`, `78%`; past 1 too: `412%`."""
    if ratio is None or math.isnan(ratio):
        return NO_DATA
    value = ratio * 100
    if value <= 0:
        return "0.0%"
    if value < 0.05:
        return "<0.1%"
    if value < 9.95:
        return f"{value:.1f}%"
    return f"{min(value, 9999):.0f}%"


def size(value: float | None) -> str:
    """Return a number of bytes: `38 B`, `9.9 kB`, `212 MB`, `1.2 GB`."""
    if value is None:
        return NO_DATA
    if value < 999.5:
        return f"{value:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 9.95:
            return f"{value:.1f} {unit}"
        if value < 999.5:
            return f"{value:.0f} {unit}"
    return f"{min(value / 1000, 999):.0f} PB"


def signed_size(value: float) -> str:
    """Return a difference in bytes with its sign."""
    return f"{'-' if value < 0 else '+'}{size(abs(value))}"


def age(seconds: float | None) -> str:
    """Return how long ago or for how long: `1.9 s`, `38 s`, `12m 04s`, `3h 12m`, `2d 04h`."""
    if seconds is None:
        return NO_DATA
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600:02d}h"


def window(seconds: float) -> str:
    """Return the length of a window: `10s`, `1m`, `15m`, `2h`."""
    whole = round(seconds)
    if whole >= 3600 and whole % 3600 == 0:
        return f"{whole // 3600}h"
    if whole >= 60 and whole % 60 == 0:
        return f"{whole // 60}m"
    return f"{whole}s"


def period(seconds: float) -> str:
    """Return the time between two repaints: `0.5 s`, `2 s`."""
    return f"{seconds:g} s"


def _scaled(value: float) -> str:
    for unit in ("k", "M", "G"):
        value /= 1000
        if value < 99.95:
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
    return f"{min(value, 9999):.0f}G"


def clock(at: float) -> str:
    """Return a moment of today as the clock here shows it: `14:02:51`."""
    return time.strftime("%H:%M:%S", time.localtime(at))
