"""Profiles as trees of functions: which one the time goes to, by which ways, for which route.

Takes the stacks of one profile or of several (workers are added up), gives trees, tables and differences.
Whatever rate and length a profile had, its time is told per second of wall time of a worker, so that two
of them can be held against each other. Children stand in the order of their names: a live picture, and the
same profile seen twice, do not shuffle.

A share of samples is an estimate: `error` says between which bounds the true one lies. Two profiles differ
in a function if those bounds stay clear of each other, each wide enough that of all functions together
not even one in a hundred pictures of an unchanged service has a false one.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from perftui.model.intervals import Z
from perftui.model.text import clean_text
from perftui.record import Record
from perftui_agent.wire.actions import Profile
from perftui_agent.wire.parts import RouteLabel

NO_REQUEST: RouteLabel = "(no request)"
"""What nobody waited for, or for whom it was is not known."""

FOLDED_BELOW = 0.005
"""Of the whole: what takes less is folded away."""

CLUSTERS = 4.0
"""Samples of one stretch of work resemble each other: so many of them count as one where two profiles are
compared. A stretch of 50 ms is five samples at 100 Hz."""

LEAST_MS_PER_S = 1.0
"""A function whose time moved by less is no news …"""
LEAST_SHARE = 0.10
"""… nor one that moved by less of itself."""


class Function(NamedTuple):
    """A function of the code: how profiles name it."""

    file: str
    name: str


class Line(NamedTuple):
    """A frame of a stack."""

    function: Function
    line: int


class Stack(Record, frozen=True):
    """A stack that was seen, outermost first, and for how long."""

    frames: tuple[Line, ...]
    ns: int
    count: int
    route: RouteLabel = ""
    on_loop: bool = False


class Samples(Record, frozen=True):
    """The stacks of one or several profiles, and how much wall time of workers they cover."""

    stacks: tuple[Stack, ...] = ()
    wall_ns: int = 0
    """Added up over the workers."""
    names: dict[str, str] = msgspec.field(default_factory=dict)
    """The short name of each file."""
    idle_ns: int = 0
    """For how long threads waited for something to do, which no stack tells of."""

    @property
    def ns(self) -> int:
        """How much time was seen, of all threads together."""
        return sum(stack.ns for stack in self.stacks)

    @property
    def count(self) -> int:
        """How many stacks were seen."""
        return sum(stack.count for stack in self.stacks)

    def routes(self) -> list[tuple[RouteLabel, int]]:
        """Return the time of each route, the greatest first; what is nobody's under `NO_REQUEST`."""
        times: Counter[RouteLabel] = Counter()
        for stack in self.stacks:
            times[stack.route or NO_REQUEST] += stack.ns
        return sorted(times.items(), key=lambda item: (-item[1], item[0]))

    def only(self, *, route: RouteLabel | None = None, on_loop: bool = False) -> Samples:
        """Return those of one route (`NO_REQUEST` for what is nobody's), or of the loop's thread alone."""
        stacks = tuple(
            stack
            for stack in self.stacks
            if (route is None or (stack.route or NO_REQUEST) == route) and (stack.on_loop or not on_loop)
        )
        return Samples(stacks, self.wall_ns, self.names)

    def through(self, function: Function) -> Samples:
        """Return those that pass through a function, from its outermost call on."""
        stacks = []
        for stack in self.stacks:
            at = next((at for at, line in enumerate(stack.frames) if line.function == function), None)
            if at is not None:
                stacks.append(Stack(stack.frames[at:], stack.ns, stack.count, stack.route, stack.on_loop))
        return Samples(tuple(stacks), self.wall_ns, self.names)

    def callers_of(self, function: Function) -> Samples:
        """Return the ways to a function, innermost first, from its innermost call outwards."""
        stacks = []
        for stack in self.stacks:
            inside_out = stack.frames[::-1]
            at = next((at for at, line in enumerate(inside_out) if line.function == function), None)
            if at is not None:
                stacks.append(Stack(inside_out[at:], stack.ns, stack.count, stack.route, stack.on_loop))
        return Samples(tuple(stacks), self.wall_ns, self.names)


def samples_of(profiles: Iterable[Profile]) -> Samples:
    """Return the samples of profiles, added up."""
    stacks: dict[tuple[tuple[Line, ...], RouteLabel, bool], tuple[int, int]] = defaultdict(lambda: (0, 0))
    names: dict[str, str] = {}
    wall_ns = idle_ns = 0
    for profile in profiles:
        wall_ns += profile.took_ns
        # Names come from outside: nothing in them may reach a terminal as it is.
        files = {frame.file: clean_text(frame.file) for frame in profile.frames}
        names |= {files[each.file]: clean_text(each.short_file or each.file) for each in profile.frames}
        lines = [
            Line(Function(files[frame.file], clean_text(frame.function)), frame.line)
            for frame in profile.frames
        ]
        for stack in profile.stacks:
            if stack.idle:
                idle_ns += stack.weight_ns
            elif stack.frames and all(0 <= at < len(lines) for at in stack.frames):
                key = tuple(lines[at] for at in stack.frames), clean_text(stack.route), stack.on_loop
                ns, count = stacks[key]
                stacks[key] = ns + stack.weight_ns, count + stack.count
    return Samples(
        tuple(
            Stack(frames, ns, count, route, on_loop)
            for (frames, route, on_loop), (ns, count) in stacks.items()
        ),
        wall_ns,
        names,
        idle_ns,
    )


class Node(Record, frozen=True):
    """A function as it was called by one way."""

    function: Function
    line: int
    """Where it mostly was."""
    own_ns: int
    total_ns: int
    count: int
    children: tuple[Node, ...] = ()
    folded_ns: int = 0
    """Of calls too short to be told apart: see `FOLDED_BELOW`."""


def tree(samples: Samples, *, least_ns: float | None = None) -> tuple[Node, ...]:
    """Return the outermost functions with all they called; what takes under `least_ns` is folded away."""
    least = samples.ns * FOLDED_BELOW if least_ns is None else least_ns
    return _grown([(stack.frames, stack.ns, stack.count) for stack in samples.stacks], 0, least)[0]


_Way: TypeAlias = tuple[tuple[Line, ...], int, int]


def _grown(ways: Sequence[_Way], depth: int, least: float) -> tuple[tuple[Node, ...], int]:
    groups: dict[Function, list[_Way]] = defaultdict(list)
    for way in ways:
        if len(way[0]) > depth:
            groups[way[0][depth].function].append(way)
    nodes, folded_ns = [], 0
    for function in sorted(groups, key=lambda function: (function.name, function.file)):
        group = groups[function]
        total_ns = sum(ns for _, ns, _ in group)
        if total_ns < least:
            folded_ns += total_ns
            continue
        lines: Counter[int] = Counter()
        for frames, ns, _ in group:
            lines[frames[depth].line] += ns
        children, inside_ns = _grown(group, depth + 1, least)
        own_ns = sum(ns for frames, ns, _ in group if len(frames) == depth + 1)
        count = sum(count for _, _, count in group)
        nodes.append(Node(function, _most(lines), own_ns, total_ns, count, children, inside_ns))
    return tuple(nodes), folded_ns


class Cost(Record, frozen=True):
    """What one function took, by whichever way it was called."""

    function: Function
    line: int
    """Where most of its own time was, else where it called what took it."""
    own_ns: int
    total_ns: int
    """Its own time and that of all it called; a recursion counts once."""
    own_count: int
    count: int


def costs(samples: Samples) -> list[Cost]:
    """Return what each function took, the greatest own time first."""
    own: Counter[Function] = Counter()
    total: Counter[Function] = Counter()
    own_count: Counter[Function] = Counter()
    count: Counter[Function] = Counter()
    lines: dict[Function, Counter[int]] = defaultdict(Counter)
    for stack in samples.stacks:
        seen: set[Function] = set()
        for at, line in enumerate(reversed(stack.frames)):
            if at == 0:
                own[line.function] += stack.ns
                own_count[line.function] += stack.count
            if line.function not in seen:
                seen.add(line.function)
                total[line.function] += stack.ns
                count[line.function] += stack.count
                # Its own lines weigh more than those it waits at for what it calls.
                lines[line.function][line.line] += stack.ns * (1000 if at == 0 else 1)
    found = [
        Cost(function, _most(lines[function]), own[function], ns, own_count[function], count[function])
        for function, ns in total.items()
    ]
    return sorted(found, key=lambda cost: (-cost.own_ns, -cost.total_ns, cost.function))


def _most(lines: Counter[int]) -> int:
    """Return the line of the greatest weight, the first of several."""
    return max(lines, key=lambda at: (lines[at], -at))


def matching(samples: Samples, pattern: re.Pattern[str]) -> tuple[frozenset[Function], int]:
    """Return the functions whose name or file a pattern finds, and the time of all stacks through them."""
    found: set[Function] = set()
    known: dict[Function, bool] = {}
    ns = 0
    for stack in samples.stacks:
        hit = False
        for line in stack.frames:
            function = line.function
            if function not in known:
                text = f"{samples.names.get(function.file, function.file)} {function.name}"
                known[function] = pattern.search(text) is not None
            if known[function]:
                found.add(function)
                hit = True
        ns += stack.ns if hit else 0
    return frozenset(found), ns


def error(count: int, of: int, z: float = Z) -> tuple[float, float]:
    """Return the bounds between which the true share lies, `count` samples of `of` having shown it."""
    if not of:
        return 0.0, 1.0
    share, z2 = count / of, z * z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    spread = z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - spread), min(1.0, middle + spread)


Moved: TypeAlias = Literal["more", "less", "new", "gone", "same"]
"""`new` and `gone` were not seen at all before, or are not seen any more; `same` includes noise."""


class Change(Record, frozen=True):
    """What a function took before and after, in milliseconds of its own for each second of a worker."""

    function: Function
    before_ms: float
    after_ms: float
    moved: Moved


def difference(before: Samples, after: Samples) -> list[Change]:
    """Return the functions in which two profiles differ, the greatest difference first; then all others."""
    old, new = ({cost.function: cost for cost in costs(each)} for each in (before, after))
    functions = set(old) | set(new)
    if not (before.wall_ns and after.wall_ns):
        return []
    # One in a hundred pictures may have a false one, among all functions and their two bounds.
    z = NormalDist().inv_cdf(1 - 0.01 / (4 * max(len(functions), 1)))
    changes = [
        _change(function, old.get(function), new.get(function), before, after, z) for function in functions
    ]
    return sorted(
        changes,
        key=lambda change: (
            change.moved == "same",
            -abs(change.after_ms - change.before_ms),
            change.function,
        ),
    )


def _change(
    function: Function, old: Cost | None, new: Cost | None, before: Samples, after: Samples, z: float
) -> Change:
    (before_ms, before_low, before_high) = _per_second(old, before, z)
    (after_ms, after_low, after_high) = _per_second(new, after, z)
    moved: Moved = "same"
    large = abs(after_ms - before_ms) >= max(LEAST_MS_PER_S, LEAST_SHARE * before_ms)
    if large and after_low > before_high:
        moved = "more" if old and old.own_ns else "new"
    elif large and after_high < before_low:
        moved = "less" if new and new.own_ns else "gone"
    return Change(function, before_ms, after_ms, moved)


def _per_second(cost: Cost | None, samples: Samples, z: float) -> tuple[float, float, float]:
    """Return a function's own milliseconds a second, and the bounds of the true figure."""
    seen_ms = 1000.0 * samples.ns / samples.wall_ns
    of = max(round(samples.count / CLUSTERS), 1)
    share = cost.own_ns / samples.ns if cost and samples.ns else 0.0
    low, high = error(round(share * of), of, z)
    return share * seen_ms, low * seen_ms, high * seen_ms
