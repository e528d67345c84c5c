"""A trigger as it is written: `GET /pay: p95>1s for 10s: profile 20s, dump, at most 4/h`.

Takes the text, gives a `Trigger`, or ValueError with one line that says what is wrong in it and what may
stand there. A condition is written as a target is; it holds when it is exceeded over its window.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

USUAL_WINDOW_S, LONGEST_WINDOW_S = 10.0, 120.0

USUAL_PER_HOUR, MOST_PER_HOUR = 2, 60

USUAL_PROFILE_S, LONGEST_PROFILE_S = 10.0, 60.0

MOST_TRIGGERS = 8

EXAMPLE = "p95>1s for 10s: profile 20s, dump"

_TIMES = MappingProxyType({"ms": 0.001, "s": 1.0, "m": 60.0})
_SIZES = MappingProxyType(
    {"KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "B": 1.0}
)

METRICS: Mapping[str, tuple[Mapping[str, float], str]] = MappingProxyType(
    {
        "p50": (_TIMES, "p50>200ms"),
        "p95": (_TIMES, "p95>1s"),
        "p99": (_TIMES, "p99>1s"),
        "errors": ({"%": 0.01}, "errors>5%"),
        "rps": ({"": 1.0, "/s": 1.0}, "rps>500"),
        "lag": (_TIMES, "lag>200ms"),
        "cpu": ({"%": 1.0}, "cpu>90%"),
        "memory": (_SIZES, "memory>2GB"),
        "in_flight": ({"": 1.0}, "in_flight>100"),
    }
)
"""What may be watched: its units, and how it is written."""

OF_ROUTES = frozenset({"p50", "p95", "p99", "errors", "rps"})
"""What can be watched of one route; the rest is of the worker."""

_ROUTE = re.compile(r"([A-Z_]+\s+[/(]\S*):\s+(.*)", re.DOTALL)
_CONDITION = re.compile(
    r"([A-Za-z_][A-Za-z_0-9]*)\s*(>=|<=|>|<)\s*(\d{1,12}(?:\.\d{1,9})?)\s*([A-Za-z%/]*)(?:\s+for\s+(\S+))?"
)
_TIME = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s|m)")
_LIMIT = re.compile(r"at most (\d{1,4})\s*/\s*h")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One action of a trigger."""

    name: str
    """`profile` or `dump`."""
    for_s: float = 0.0
    """Of a profile."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What is watched, and what is done when it is exceeded."""

    text: str
    metric: str
    above: bool
    or_equal: bool
    bound: float
    """In seconds, bytes, a ratio, per cent of a core, or a number."""
    actions: tuple[Wanted, ...]
    route: str | None = None
    window_s: float = USUAL_WINDOW_S
    per_hour: int = USUAL_PER_HOUR

    def exceeded_by(self, value: float) -> bool:
        """Tell whether a value is on the wrong side of the bound."""
        if value == self.bound:
            return self.or_equal
        return (value > self.bound) is self.above


def parse_triggers(text: str) -> tuple[Trigger, ...]:
    """Return the triggers in a text that has several, divided by `;`."""
    found = tuple(parse_trigger(part) for part in text.split(";") if part.strip())
    if len(found) > MOST_TRIGGERS:
        raise ValueError(f"{len(found)} triggers; {MOST_TRIGGERS} are the most")
    return found


def parse_trigger(text: str) -> Trigger:
    """Return the trigger that a text says."""
    said = " ".join(text.split())
    route, rest = None, said
    if match := _ROUTE.fullmatch(said):
        route, rest = " ".join(match[1].split()), match[2]
    condition, colon, actions = rest.partition(":")
    if not colon:
        raise ValueError(f"{said!r} says nothing to do: write {EXAMPLE!r}")
    match = _CONDITION.fullmatch(condition.strip())
    if match is None:
        raise ValueError(f"{condition.strip()!r} is no condition: write {EXAMPLE!r}")
    metric, sign, number, unit, window = match.groups()
    wanted, per_hour = _actions(actions)
    return Trigger(
        text=said,
        route=_checked_route(route, metric),
        metric=metric,
        above=sign[0] == ">",
        or_equal=sign.endswith("="),
        bound=float(number) * _unit(metric, unit),
        window_s=_time(window, 1.0, LONGEST_WINDOW_S) if window else USUAL_WINDOW_S,
        actions=wanted,
        per_hour=per_hour,
    )


def _unit(metric: str, unit: str) -> float:
    if metric not in METRICS:
        raise ValueError(f"{metric!r} is nothing that can be watched: {', '.join(METRICS)}")
    units, example = METRICS[metric]
    if unit not in units:
        raise ValueError(f"{unit or 'no unit'!r} after {metric}: write {example}")
    return units[unit]


def _checked_route(route: str | None, metric: str) -> str | None:
    if route is not None and metric in METRICS and metric not in OF_ROUTES:
        raise ValueError(f"{metric} is that of the worker: it can't be watched of {route!r} alone")
    return route


def _actions(text: str) -> tuple[tuple[Wanted, ...], int]:
    wanted: list[Wanted] = []
    per_hour = USUAL_PER_HOUR
    for part in map(str.strip, text.split(",")):
        name, _, rest = part.partition(" ")
        if limit := _LIMIT.fullmatch(part):
            per_hour = int(limit[1])
            if not 1 <= per_hour <= MOST_PER_HOUR:
                raise ValueError(f"{part!r}: from 1 to {MOST_PER_HOUR} an hour are possible")
        elif part == "dump":
            wanted.append(Wanted("dump"))
        elif name == "profile":
            for_s = _time(rest.strip(), 1.0, LONGEST_PROFILE_S) if rest else USUAL_PROFILE_S
            wanted.append(Wanted("profile", for_s))
        else:
            raise ValueError(f"{part!r} can't be done: write 'profile 20s', 'dump' or 'at most 4/h'")
    if not wanted:
        raise ValueError(f"{text.strip()!r} says nothing to do: write 'profile 20s' or 'dump'")
    return tuple(dict.fromkeys(wanted)), per_hour


def _time(text: str, least_s: float, most_s: float) -> float:
    match = _TIME.fullmatch(text)
    seconds = float(match[1]) * _TIMES[match[2]] if match else 0.0
    if not least_s <= seconds <= most_s:
        raise ValueError(f"{text!r}: write a time from {least_s:g}s to {most_s:g}s, as in 10s")
    return seconds
