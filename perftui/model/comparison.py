"""Two pictures of a service route by route, before and after: what has changed, and what is noise.

A change is believed if chance alone would hardly make it, and if it is large enough to matter. How likely
chance makes a difference is told figure by figure (see `intervals`); among 200 routes of eight figures some
would differ by chance every time, so all of them are held to one probability together (Holm, 1979). Requests
that wait for each other are no independent draws: where the stretches of a window differ by more than chance,
so many fewer of them count. What lies between two windows (another neighbour, a warmer cache) no window can
tell: hence the least differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import msgspec

from perftui.model.changes import (
    ALONE,
    UNKNOWN,
    Chance,
    Change,
    Side,
    alone,
    count_change,
    latency_change,
    queued_change,
    rate_change,
    share_change,
    sizes_change,
    told,
)
from perftui.model.intervals import holm, p_value
from perftui.model.quantiles import together
from perftui.model.renames import renamed
from perftui.model.route_summary import RouteSummary
from perftui.model.stretches import stretches_of
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerTrends
from perftui.record import Record
from perftui_agent.wire.parts import RouteLabel

FAMILY = 0.005
"""How likely a comparison of any number of routes marks at least one of them where nothing has changed."""

NOT_CHANCE = 0.01
"""A route without a request in one of two pictures is new or gone if that is as unlikely by its rate."""

RouteVerdict: TypeAlias = Literal["worse", "better", "same", "noise", "too-few", "new", "gone"]
"""`same`: nothing has moved by as much as matters. `noise`: something has, and it may be chance."""

ALL: RouteLabel = "all"
"""The row of all routes together."""

JUDGED = ("p50", "p95", "p99", "error_rate", "sql_per_request", "http_per_request")
"""The figures that make a route worse where they rise."""

FIGURES = (*JUDGED, "queue_p95", "bytes_p95")
"""Those that are held to one probability."""


class RouteChange(Record, frozen=True):
    """One route before and after; latencies in ms, sizes in bytes, `error_rate` from 0 to 1."""

    route: RouteLabel
    requests: tuple[int, int]
    p50: Change
    p95: Change
    p99: Change
    rps: Change
    error_rate: Change
    sql_per_request: Change = UNKNOWN
    http_per_request: Change = UNKNOWN
    queue_p95: Change = UNKNOWN
    bytes_p95: Change = UNKNOWN
    there: Literal["both", "before", "after"] = "both"
    """When it had requests at all …"""
    is_chance: bool = False
    """… which may be chance, as few as they are."""
    was: RouteLabel = ""
    """What it was called before, if it was renamed."""

    @property
    def is_worse(self) -> bool:
        """Whether it got slower, fails more often or asks for more."""
        return any(self.figure(name).verdict == "up" for name in JUDGED)

    @property
    def is_better(self) -> bool:
        """Whether it got faster, fails less often or asks for less, and nothing of it worse."""
        return any(self.figure(name).verdict == "down" for name in JUDGED) and not self.is_worse

    @property
    def verdict(self) -> RouteVerdict:
        """What is to be said of it in a word."""
        if self.there != "both":
            return "too-few" if self.is_chance else "new" if self.there == "after" else "gone"
        if self.is_worse or self.is_better:
            return "worse" if self.is_worse else "better"
        if self.p95.verdict == "unknown":
            return "too-few"
        return "noise" if any(self.figure(name).matters for name in JUDGED) else "same"

    def figure(self, name: str) -> Change:
        """Return one of `FIGURES`."""
        found: Change = getattr(self, name)
        return found


class Comparison(Record, frozen=True):
    """Two pictures held against each other."""

    before_at: float
    before_s: float
    """How much time the picture before covers."""
    after_at: float
    after_s: float
    all_routes: RouteChange
    routes: tuple[RouteChange, ...]
    """The worse first, then the better, then the rest, each by what they cost now."""

    def route(self, label: RouteLabel) -> RouteChange | None:
        """Return the change of a route; None if it had no request in either picture."""
        return next((each for each in self.routes if each.route == label), None)


def baseline(summary: Summary) -> Summary:
    """Return a picture to compare later ones with.

    It may be kept for ever: unlike other pictures it holds nothing of the history that it was made from.
    """
    return replace(
        summary,
        routes=tuple(replace(row, trend=(), steps=(), shares=()) for row in summary.routes),
        workers=tuple(
            replace(row, trend=(), trends=WorkerTrends(), memory=(), memory_lately=())
            for row in summary.workers
        ),
    )


def compare(before: Summary, after: Summary) -> Comparison:
    """Return what has changed from one picture to the other, route by route."""
    old = {row.route: row for row in before.routes}
    new = {row.route: row for row in after.routes}
    names = renamed(old, new)
    cost = {label: row.total_ms for label, row in {**old, **new}.items()}
    changes = [_all(before, after)]
    for label in {**new, **old}:
        if label not in names.values():
            was = old.get(names.get(label, label))
            changes.append(_route(label, was, new.get(label), before.window_s, after.window_s))
    everything, *routes = _together(changes)
    routes.sort(key=lambda each: (not each.is_worse, not each.is_better, -cost[each.route], each.route))
    return Comparison(
        before_at=before.at,
        before_s=before.window_s,
        after_at=after.at,
        after_s=after.window_s,
        all_routes=everything,
        routes=tuple(routes),
    )


def compare_route(
    label: RouteLabel,
    before: RouteSummary | None,
    after: RouteSummary | None,
    before_s: float,
    after_s: float,
) -> RouteChange:
    """Return what has changed in one route from one picture to the other, and over which times they go.

    By itself, and without a look at the stretches of the window: it is asked for at every picture.
    """
    old, new = (replace(row, steps=()) if row else None for row in (before, after))
    change = _route(label, old, new, before_s, after_s, alone)
    return _with_verdicts(change, {name: (change.figure(name).p or 0.0) <= ALONE for name in FIGURES})


def _together(changes: Sequence[RouteChange]) -> list[RouteChange]:
    """Return the changes with verdicts, all of them held to one probability."""
    known = [
        (place, name, p)
        for place, change in enumerate(changes)
        for name in FIGURES
        if (p := change.figure(name).p) is not None
    ]
    stand = holm([p for _, _, p in known], FAMILY)
    marked: dict[int, dict[str, bool]] = {}
    for (place, name, _), stands in zip(known, stand, strict=True):
        marked.setdefault(place, {})[name] = stands
    return [_with_verdicts(change, marked.get(place, {})) for place, change in enumerate(changes)]


def _with_verdicts(change: RouteChange, stand: Mapping[str, bool]) -> RouteChange:
    marked = {name: told(change.figure(name), stand.get(name, False)) for name in FIGURES}
    return msgspec.structs.replace(change, **marked)


def _all(before: Summary, after: Summary) -> RouteChange:
    return _change(ALL, _side_of_all(before), _side_of_all(after), p_value)


def _side_of_all(summary: Summary) -> Side:
    rows = [row for row in summary.routes if not row.long_poll]
    return Side(
        seconds=summary.window_s,
        requests=summary.totals.requests,
        errors=summary.totals.errors,
        sketch=together(row.sketch for row in rows),
        queue=together(row.sketches.queue for row in rows),
        queue_known=sum(row.queued.known for row in rows),
        steps=stretches_of(rows),
    )


def _route(
    label: RouteLabel,
    before: RouteSummary | None,
    after: RouteSummary | None,
    before_s: float,
    after_s: float,
    chance: Chance = p_value,
) -> RouteChange:
    change = _change(label, _side(before, before_s), _side(after, after_s), chance)
    if before is None and after is not None:
        return replace(change, there="after", is_chance=_is_chance(after.requests, before_s, after_s))
    if after is None and before is not None:
        return replace(change, there="before", is_chance=_is_chance(before.requests, after_s, before_s))
    return replace(change, was=before.route) if before is not None and before.route != label else change


def _is_chance(requests: int, without_s: float, with_s: float) -> bool:
    """Say whether all of a route's requests may well have come in one of two times by chance."""
    both_s = without_s + with_s
    return not both_s or (with_s / both_s) ** requests > NOT_CHANCE


def _side(row: RouteSummary | None, seconds: float) -> Side:
    if row is None:
        return Side(seconds)
    return Side(
        seconds=seconds,
        requests=row.requests,
        errors=row.errors,
        sketch=row.sketch,
        queue=row.sketches.queue,
        queue_known=row.queued.known,
        sizes=row.sketches.sizes,
        sql_per_request=row.sql_per_request,
        http_per_request=row.http_per_request,
        steps=row.steps,
    )


def _change(label: RouteLabel, before: Side, after: Side, chance: Chance) -> RouteChange:
    p50, p95, p99 = (latency_change(q, before, after, chance) for q in (0.5, 0.95, 0.99))
    return RouteChange(
        route=label,
        requests=(before.requests, after.requests),
        p50=p50,
        p95=p95,
        p99=p99,
        rps=rate_change(before, after),
        error_rate=share_change(before, after, chance),
        sql_per_request=count_change("sql_per_request", "statements", before, after),
        http_per_request=count_change("http_per_request", "calls", before, after),
        queue_p95=queued_change(before, after, chance),
        bytes_p95=sizes_change(before, after, chance),
    )
