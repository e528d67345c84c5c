"""A profile as a screen: which functions the time goes to, by which ways, for which route.

One line for each function as it was called by one way; a chain of calls that leads nowhere else is one line.
The bars of a column stand under each other, so that a live picture changes digits and lengths alone. Shares
are told of what is zoomed into and of the whole, and how far sampling may be off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeAlias

from perftui.model.flame import (
    NO_REQUEST,
    Change,
    Cost,
    Function,
    Moved,
    Node,
    Samples,
    costs,
    difference,
    error,
    matching,
    tree,
)
from perftui.present.charts.drawing import bar
from perftui.present.details.threads import is_own_file
from perftui.present.text.blocks import section
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit, fit_line, fit_middle
from perftui.present.text.units import count, ms, percent
from perftui.record import Record

Shape: TypeAlias = Literal["ways", "callers", "own", "change"]
"""Down from the outermost function; up from one function to its callers; a table by own time; the difference
to the mark."""


class FlameState(Record, frozen=True):
    """How a profile is being looked at."""

    shape: Shape = "ways"
    zoom: tuple[Function, ...] = ()
    """Functions that were zoomed into, one after the other."""
    of: Function | None = None
    """Whose callers are shown."""
    route: str | None = None
    """None for all."""
    on_loop: bool = False
    pattern: str = ""


class FlameRow(Record, frozen=True):
    """A line, and the function it is about."""

    line: Line
    function: Function | None = None


def seen_by(samples: Samples, state: FlameState) -> tuple[Samples, Samples]:
    """Return what is zoomed into, and the whole it is a part of."""
    whole = samples.only(route=state.route, on_loop=state.on_loop)
    shown = whole
    for function in state.zoom:
        shown = shown.through(function)
    if state.shape == "callers" and state.of is not None:
        shown = shown.callers_of(state.of)
    return shown, whole


def next_route(samples: Samples, state: FlameState, by: int) -> FlameState:
    """Return the state for the next route, all of them after the last."""
    routes: list[str | None] = [None, *(route for route, _ in samples.routes())]
    at = routes.index(state.route) if state.route in routes else 0
    return replace(state, route=routes[(at + by) % len(routes)], zoom=())


def flame_rows(samples: Samples, mark: Samples | None, state: FlameState, width: int) -> list[FlameRow]:
    """Return the lines of the screen below its title."""
    shown, whole = seen_by(samples, state)
    rows = [FlameRow(line) for line in _routes(samples, state, width)]
    if not samples.stacks:
        return [
            *rows,
            FlameRow(BLANK),
            FlameRow((Cell("  nothing was at work while it was sampled", "dim"),)),
        ]
    found, rows = _found(shown, state, rows, width)
    match state.shape:
        case "change":
            return rows + _changes(samples, mark, width)
        case "own":
            return rows + _own(shown, found, width)
        case "callers" if state.of is not None:
            heading = f"CALLERS OF {clean(state.of.name)}"
        case _:
            heading = " ▸ ".join(["ALL", *(clean(function.name) for function in state.zoom)])
    note = "zoom whole" if state.zoom or state.shape == "callers" else ""
    rows.append(FlameRow(section(heading, width, note)))
    _grow(tree(shown), 0, shown, whole, found, width, rows)
    return rows


def _found(
    shown: Samples, state: FlameState, rows: list[FlameRow], width: int
) -> tuple[frozenset[Function], list[FlameRow]]:
    """Return the functions that the pattern finds, and the rows with a line of what share they are."""
    if not state.pattern:
        return frozenset(), rows
    try:
        found, ns = matching(shown, re.compile(state.pattern, re.IGNORECASE))
    except re.error as fault:
        told = f"  /{clean(state.pattern)}: {fault}"
        return frozenset(), [*rows, FlameRow(fit_line((Cell(told, "medium"),), width))]
    share = percent(ns / shown.ns) if shown.ns else "–"
    told = f"  /{clean(state.pattern)} finds {len(found)} functions: {share} passes through them"
    return found, [*rows, FlameRow(fit_line((Cell(told, "accent"),), width))]


def _routes(samples: Samples, state: FlameState, width: int) -> list[Line]:
    """Return the routes with their shares, the chosen one marked; nothing where none is known."""
    routes = samples.routes()
    if len(routes) < 2 and (not routes or routes[0][0] == NO_REQUEST):
        return []
    cells: list[Cell] = [Cell(" ")]
    items: list[tuple[str, str | None]] = [("all routes", None)]
    items += [(f"{route} {percent(ns / samples.ns)}", route) for route, ns in routes]
    # The chosen one is always to be seen.
    items.sort(key=lambda item: (item[1] is not None, item[1] != state.route))
    used = 1
    for at, (text, route) in enumerate(items):
        chosen = state.route == route
        text = f"▸{clean(text)}" if chosen else f" {clean(text)}"
        if used + len(text) + 2 > width - 8 and at < len(items):
            cells.append(Cell(f" {len(items) - at} more", "dim"))
            break
        cells += [Cell(text, "bright" if chosen else "label"), Cell(" ")]
        used += len(text) + 1
    return [fit_line(tuple(cells), width)]


def _grow(
    nodes: Sequence[Node],
    depth: int,
    shown: Samples,
    whole: Samples,
    found: frozenset[Function],
    width: int,
    rows: list[FlameRow],
) -> None:
    for node in nodes:
        chain = [node]
        while len(node.children) == 1 and not node.own_ns and not node.folded_ns:
            node = node.children[0]
            chain.append(node)
        rows.append(FlameRow(_line(chain, depth, shown, whole, found, width), node.function))
        _grow(node.children, depth + 1, shown, whole, found, width, rows)


def _line(
    chain: Sequence[Node],
    depth: int,
    shown: Samples,
    whole: Samples,
    found: frozenset[Function],
    width: int,
) -> Line:
    node = chain[-1]
    room_for_bar = max(width // 4, 8)
    head = [Cell(fit(percent(node.total_ns / shown.ns), 6, "right"), "bright")]
    if shown is not whole:
        head.append(Cell(fit(percent(node.total_ns / whole.ns), 6, "right"), "dim"))
    room = width - sum(len(cell.text) for cell in head) - room_for_bar - 3
    # However deep it is, some of the name is to be seen.
    indent = " " * (1 + min(depth, max((room - 24) // 2, 0)) * 2 // (2 if depth > 12 else 1))
    name = _chain(chain, shown, max(room - len(indent), 8))
    style = _style(node.function, found)
    drawn = Cell(bar(node.total_ns / shown.ns, room_for_bar), "chart")
    return (*head, Cell(indent), Cell(fit(name, max(room - len(indent), 8)), style), Cell("  "), drawn)


def _chain(chain: Sequence[Node], samples: Samples, room: int) -> str:
    """Return a chain of calls as text: its end with its line, and as much of its way as there is room for."""
    end = place(samples, chain[-1].function, chain[-1].line)
    way = [clean(node.function.name).rpartition(".")[2] for node in chain[:-1]]
    text = end
    for at in range(len(way) - 1, -1, -1):
        longer = f"{way[at]} ▸ {text}"
        if len(longer) > room:
            return text if at == len(way) - 1 and len(text) > room - 4 else f"… {text}"[:room]
        text = longer
    return text if len(text) <= room else fit_middle(text, room)


def place(samples: Samples, function: Function, line: int) -> str:
    """Return a function with the line it mostly was at: `build reports.py:42`."""
    file = samples.names.get(function.file, function.file).rpartition("/")[2]
    return clean(f"{function.name} {file}:{line}" if file else function.name)


def _own(shown: Samples, found: frozenset[Function], width: int) -> list[FlameRow]:
    rows = [FlameRow(section("OWN TIME", width, "own  in all  ±sampling"))]
    for cost in costs(shown):
        if cost.own_ns < 0.005 * shown.ns:
            break
        rows.append(FlameRow(_cost(cost, shown, found, width), cost.function))
    return rows


def _cost(cost: Cost, shown: Samples, found: frozenset[Function], width: int) -> Line:
    low, high = error(cost.own_count, shown.count)
    style = _style(cost.function, found)
    room_for_bar = max(width // 5, 8)
    room = max(width - 33 - room_for_bar, 8)
    return (
        Cell(fit(percent(cost.own_ns / shown.ns), 6, "right"), "bright"),
        Cell(fit(percent(cost.total_ns / shown.ns), 7, "right"), "text"),
        Cell(fit(f"{100 * low:.0f}–{100 * high:.0f}%", 10, "right"), "dim"),
        Cell("  "),
        Cell(fit(place(shown, cost.function, cost.line), room), style),
        Cell("  "),
        Cell(bar(cost.own_ns / shown.ns, room_for_bar), "chart"),
    )


def _style(function: Function, found: frozenset[Function] = frozenset()) -> Style:
    if function in found:
        return "accent"
    return "own" if is_own_file(function.file) else "text"


_MOVED: Mapping[Moved, tuple[str, Style]] = MappingProxyType(
    {
        "more": ("▲", "high"),
        "new": ("+", "high"),
        "less": ("▼", "good"),
        "gone": ("-", "good"),
        "same": ("≈", "dim"),
    }
)


def _changes(samples: Samples, mark: Samples | None, width: int) -> list[FlameRow]:
    if mark is None:
        text = "  no mark yet: b marks this profile, and the next one is held against it"
        return [FlameRow(BLANK), FlameRow(fit_line((Cell(text, "dim"),), width))]
    changes = difference(mark, samples)
    moved = [change for change in changes if change.moved != "same"]
    note = "own time, ms for each second: mark, now, Δ"
    rows = [FlameRow(section("AGAINST THE MARK", width, note))]
    if not moved:
        rows.append(FlameRow((Cell("  nothing has changed by more than sampling explains", "good"),)))
    rows += [FlameRow(_change(change, samples, mark, width), change.function) for change in moved]
    same = len(changes) - len(moved)
    return [*rows, FlameRow((Cell(f"  ≈ {count(same)} functions as before, or too little to tell", "dim"),))]


def _change(change: Change, samples: Samples, mark: Samples, width: int) -> Line:
    sign, style = _MOVED[change.moved]
    names = mark.names | samples.names
    file = names.get(change.function.file, change.function.file).rpartition("/")[2]
    delta = change.after_ms - change.before_ms
    return (
        Cell(f" {sign} ", style),
        Cell(fit(ms(change.before_ms), 8, "right"), "text"),
        Cell(fit(ms(change.after_ms), 9, "right"), "bright"),
        Cell(fit(f"{delta:+.1f}", 9, "right"), style),
        Cell("  "),
        Cell(fit(clean(f"{change.function.name} {file}"), max(width - 31, 8)), _style(change.function)),
    )


@lru_cache(64)
def title(engine: str, mode: str, rate_hz: float, samples: int) -> str:
    """Return how the profile was taken, for the header: `wall · sampler 50 Hz · 2,041 samples ±2 %`."""
    low, high = error(samples // 2, samples) if samples else (0.0, 1.0)
    off = f" ±{50 * (high - low):.0f} %" if samples else ""
    return f"{mode} · {engine} {rate_hz:.0f} Hz · {count(samples)} samples{off}"
