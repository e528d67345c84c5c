"""What a screen is given to show: the summary, and how it is being looked at."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace

from rich.cells import cell_len

from perftui.model.comparison import RouteChange
from perftui.model.filter import EVERYTHING, Filter
from perftui.model.happenings import Finding
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.present.text.cells import Cell, Line, clean, fit_middle, shortened, spread, width_of
from perftui.present.text.delta import Mark
from perftui.present.text.signs import verdict_cells
from perftui.present.text.units import age, count, window
from perftui.record import Record


class Playing(Record, frozen=True):
    """How the clock of a recording stands."""

    plays: bool
    speed: float
    at: str
    """Its time, `14:02:31`, and …"""
    ends_at: str
    """… that of its end."""
    is_rough: bool = False
    """Whether more is on its way: the picture is of merged frames."""


class Picture(Record, frozen=True):
    """A summary as it is being looked at."""

    summary: Summary
    findings: tuple[Finding, ...] = ()
    """What is wrong, the worst first."""
    looks_back: bool = False
    """Whether it is being looked for when they began: they may have stood for longer than they say."""
    covered_s: float | None = None
    """How much of the window there is data of; None if all of it."""
    paused_s: float | None = None
    """For how long the picture has stood still by request; None while it moves."""
    paused_at: str = ""
    """The clock time of the pause, `14:02:31`."""
    rewound_s: float | None = None
    """How long ago the moment is that is looked at; None for the present."""
    rewound_to: str = ""
    """Its clock time."""
    mark: Mark | None = None
    """What differences are told against."""
    known: tuple[float, float] | None = None
    """The first moment there is data of, and the present; None without any data."""
    wanted: Filter = EVERYTHING
    """Which rows of the tables are wanted."""
    playing: Playing | None = None
    """Of a recording, how its clock stands."""
    records: bool = False
    """Whether what is seen is being recorded."""

    def replayed(self, playing: Playing) -> Picture:
        """Return it as that of a recording."""
        return replace(self, playing=playing)

    def change(self, route: RouteSummary) -> RouteChange | None:
        """Return how a route stands against the mark; None without one."""
        return self.mark.change(route, self.covered_s or self.summary.window_s) if self.mark else None

    def out_of(self, rows: Sized) -> int | None:
        """Return how many rows a filter chooses from; None without one."""
        return len(rows) if self.wanted else None


def header_line(
    picture: Picture, width: int, crumbs: tuple[str, ...] = (), note: str = "", scope: str = "all"
) -> Line:
    """Return the first line of a screen: whose picture this is, how fresh, and what of it misses its target.

    `scope` is the route whose targets are shown, or `all` for those of the service.
    """
    summary = picture.summary
    state: list[Cell] = [] if crumbs else [_DOT, *_coverage(summary)]
    if note:
        state += [_DOT, *link_cells(picture)] if summary.link != "live" else []
    else:
        state += [_DOT, *link_cells(picture), _DOT, Cell(_window(picture))]
    # Names may be as long as they like: how fresh the picture is stays on the screen, and what hides rows.
    remark = [Cell(f"{note} ", "dim")] if note else _chip(picture, width // (2 if crumbs else 3))
    room = width - width_of(state) - width_of(remark) - 2
    if not crumbs:
        # A long target is cut before what of it is missed goes: whoever typed it knows it.
        wanted = width_of([cell for each in _targets(summary, scope) for cell in each])
        room = max(room - wanted, min(room, LEAST_NAMES))
    left = [Cell(" "), *_names(summary, crumbs, room), *state]
    targets = [] if note else _right(summary, scope, width - width_of(left) - width_of(remark) - 3)
    line = spread(left, [*targets, *remark], width)
    if picture.playing is not None:
        return line
    if picture.rewound_s is not None:
        return tuple(Cell(cell.text, "notice") for cell in line)
    if summary.link in {"stale", "lost"}:
        # A banner: what stands below is the past.
        return tuple(Cell(cell.text, "alarm") for cell in line)
    return line


def _chip(picture: Picture, room: int) -> list[Cell]:
    """Return which filter is on, and how to clear it."""
    if not picture.wanted:
        return []
    text = shortened(f" /{clean(picture.wanted.text)}", max(room - len(_CLEARS), 8))
    return [Cell(f"{text} ", "notice"), Cell(_CLEARS, "dim")]


_CLEARS = " esc clears "


def _names(summary: Summary, crumbs: tuple[str, ...], room: int) -> list[Cell]:
    """Return whose picture this is, the longest name cut first."""
    service = (summary.service,) if summary.service else ()
    names = [clean(name) for name in (*service, *(crumbs or (summary.target,)))]
    if crumbs and not service:
        names.insert(0, clean(summary.target))
    if room < 2 * _SHORTEST + 3:  # of one so narrow the rest goes first: who it is, or where in it
        names = names[-1:] if crumbs else names[:1]
    lengths = [min(cell_len(name), max(room, _SHORTEST)) for name in names]
    while sum(lengths) > room - 3 * len(names) and max(lengths) > _SHORTEST:
        lengths[lengths.index(max(lengths))] -= 1
    parts = Cell(" › ", "faint") if crumbs else _DOT
    cells: list[Cell] = []
    for place, (name, length) in enumerate(zip(names, lengths, strict=True)):
        style = "title" if place == 0 else "bright" if crumbs else "text"
        cells += [*([parts] if place else []), Cell(fit_middle(name, length), style)]
    return cells


LEAST_NAMES = 32
"""Cells for a service and its target, whatever stands beside them: `localhost:42199` is not cut."""

_SHORTEST = 8
"""A name cut to fewer cells tells nothing."""

_DOT = Cell(" · ", "faint")


def _window(picture: Picture) -> str:
    whole = window(picture.summary.window_s)
    if picture.covered_s is None or picture.summary.link == "connecting":
        return whole
    return f"{window(picture.covered_s)} of {whole}"


def _coverage(summary: Summary) -> list[Cell]:
    seen, known = summary.coverage.workers_seen, summary.coverage.workers_known
    whole = seen >= known
    cells = [Cell(f"{seen}/{known} workers", "text" if whole else "medium")]
    if summary.coverage.frames_dropped:
        cells += [_DOT, Cell(f"△ {count(summary.coverage.frames_dropped)} frames lost", "medium")]
    return cells


def link_cells(picture: Picture) -> list[Cell]:
    """Return the state of the link or the pause, each with a sign of its own."""
    summary = picture.summary
    if picture.playing is not None:
        return _clock_cells(picture.playing)
    if summary.link == "connecting":
        return [Cell("○ connecting", "medium")]
    if picture.rewound_s is not None:
        lost = f" · {summary.link}" if summary.link != "live" else ""
        return [Cell(f"◂ {picture.rewound_to} · {age(picture.rewound_s)} ago{lost}", "notice")]
    if summary.link in {"stale", "lost"}:
        since = f" {age(summary.stale_s)}" if summary.stale_s is not None else ""
        return [Cell(f" {summary.link}{since} ", "alarm")]
    if picture.paused_s is not None:
        return [
            Cell(f" paused {picture.paused_at} ", "notice"),
            Cell(f" {age(picture.paused_s)} ago", "medium"),
        ]
    records = [_DOT, Cell("● rec", "high")] if picture.records else []
    return [Cell("● live", "good"), *records]


def _clock_cells(playing: Playing) -> list[Cell]:
    """Return the clock of a recording."""
    verb = "plays" if playing.plays else "stands at"
    speed = f" ×{playing.speed:g}" if playing.speed != 1.0 else ""
    return [Cell(f" {verb} {playing.at}{speed} ", "notice"), Cell(f" of {playing.ends_at}", "dim")]


def _targets(summary: Summary, scope: str) -> list[list[Cell]]:
    """Return the targets of a scope, the missed ones first."""
    verdicts = [verdict for verdict in summary.slo if verdict.scope == scope]
    verdicts.sort(key=lambda verdict: verdict.met is not False)
    return [[*verdict_cells(verdict), Cell("  ")] for verdict in verdicts]


def _right(summary: Summary, scope: str, room: int) -> list[Cell]:
    """Return as many of the targets as fit, the missed ones first, then the sample."""
    cells: list[Cell] = []
    for more in _targets(summary, scope):
        if width_of(cells) + width_of(more) > room:
            break
        cells += more
    if scope != "all":
        return cells
    sample = [Cell("n ", "dim"), Cell(count(summary.totals.latency.count)), Cell(" ")]
    if width_of(cells) + width_of(sample) <= room:
        cells += sample
    return cells
