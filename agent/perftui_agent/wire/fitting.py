"""A frame within its bytes: what is cut when one would be too large, and how much that was.

The bounds on lists and characters keep a frame small on nearly any service; on the others their product is
megabytes. A message of more than 8 MiB costs the whole second, and frames of half a black box leave nothing
of the past. So what matters least goes first: texts of the cheapest statements are shortened, then the
largest section is halved until the frame fits. Counts stay exact: what is cut of statements and routes is
added to `(other)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.after import BackgroundFrame
from perftui_agent.wire.channels import ChannelFrame
from perftui_agent.wire.codec import encode, encode_part
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES, Frame
from perftui_agent.wire.merging import (
    merge_background,
    merge_cache,
    merge_channel,
    merge_route,
    merge_statement,
)
from perftui_agent.wire.merging_upstreams import merge_upstream
from perftui_agent.wire.outside import CacheFrame, StatementFrame, UpstreamFrame
from perftui_agent.wire.requests import RouteFrame, StatusCounts

MAX_FRAME_BYTES = MAX_MESSAGE_BYTES // 8
"""Of a frame: an eighth of a message, and of the usual black box a quarter of the half that has seconds."""

SPARED_BYTES = MAX_FRAME_BYTES // 4
"""Up to this size nothing is cut; a larger frame has texts of a quarter of that."""

SHORT_CHARACTERS = 80
"""What is left of a text that there is no room for; the fingerprint says which statement it is."""

OTHER = "(other)"

KEPT_DETAILS = 10
"""Exceptions and repeated statements of `(other)`, and routes of a statement, once it is not enough to
shorten texts."""

COST_OF_A_REQUEST_NS = 1_000_000

COST_OF_A_MISS = 10
"""In hits."""

ROUNDS = 60
"""Halvings at most: each takes away half of something."""

Row = TypeVar("Row")


def short(text: str) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= SHORT_CHARACTERS else f"{text[: SHORT_CHARACTERS - 1]}…"


def fitted(frame: Frame, most_bytes: int = MAX_FRAME_BYTES) -> bytes:
    """Return the bytes of a frame, at most so many; what has to go is taken out of it, and counted in it."""
    encoded = encode(frame)
    spared = min(SPARED_BYTES, most_bytes)
    if len(encoded) <= spared:
        return encoded
    if shortened := _shorten_texts(frame, spared // 4):
        _count(frame, "texts", shortened)
        encoded = encode(frame)
    if len(encoded) > most_bytes:
        for statement in frame.statements:
            statement.routes = _most(statement.routes)
        encoded = encode(frame)
    for _ in range(ROUNDS):
        if len(encoded) <= most_bytes:
            break
        section = max(_CUTS, key=lambda name: len(encode_part(getattr(frame, name))))
        _count(frame, section, _CUTS[section](frame))
        encoded = encode(frame)
    return encoded


def _count(frame: Frame, what: str, times: int) -> None:
    bounded = {**frame.agent.bounded, what: frame.agent.bounded.get(what, 0) + times}
    frame.agent = msgspec.structs.replace(frame.agent, bounded=bounded)


def _shorten_texts(frame: Frame, room_bytes: int) -> int:
    """Shorten the texts for which there is no room, the cheapest statements' first; return how many."""
    shortened = 0
    for statement in sorted(frame.statements, key=_cost_of_statement, reverse=True):
        room_bytes -= len(statement.statement.encode(errors="replace"))
        if room_bytes < 0 and len(statement.statement) > SHORT_CHARACTERS:
            statement.statement = short(statement.statement)
            shortened += 1
    for fingerprint, text in frame.texts.items():
        room_bytes -= len(text.encode(errors="replace"))
        if room_bytes < 0 and len(text) > SHORT_CHARACTERS:
            frame.texts[fingerprint] = short(text)
            shortened += 1
    return shortened


def _cut_routes(frame: Frame) -> int:
    kept, cut = _halves(frame.routes, _cost_of_route, lambda route: route.route == OTHER)
    if not cut:
        return _cut_details(frame)
    other = next((route for route in kept if route.route == OTHER), None)
    if other is None:
        other = RouteFrame(route=OTHER, status=StatusCounts(), latency=LatencySketch())
        kept.append(other)
    for route in cut:
        merge_route(other, route)
    del other.exceptions[KEPT_DETAILS:], other.repeats[KEPT_DETAILS:], other.paths[:]
    frame.routes = kept
    return sum(route.status.total() for route in cut)


def _cut_details(frame: Frame) -> int:
    """Give up what else is known of the few routes that are left."""
    cut = 0
    for route in frame.routes:
        cut += len(route.exceptions) + len(route.repeats) + len(route.paths)
        route.exceptions, route.repeats, route.paths = [], [], []
        route.route = short(route.route)
    return cut


def _cut_statements(frame: Frame) -> int:
    kept, cut = _halves(frame.statements, _cost_of_statement, lambda each: each.fingerprint == OTHER)
    other = next((each for each in kept if each.fingerprint == OTHER), None)
    if other is None:
        other = StatementFrame(fingerprint=OTHER, statement=OTHER)
        kept.append(other)
    for each in cut:
        merge_statement(other, each)
    other.call_site = None
    other.routes = _most(other.routes) if cut else {OTHER: sum(other.routes.values())}
    frame.statements = kept
    return sum(each.latency.count for each in cut)


def _cut_caches(frame: Frame) -> int:
    kept, cut = _halves(frame.caches, _cost_of_cache, lambda each: each.name == OTHER)
    other = next((cache for cache in kept if cache.name == OTHER), None)
    if other is None:
        other = CacheFrame(name=OTHER, kind=cut[0].kind if cut else "")
        kept.append(other)
    for cache in cut:
        merge_cache(other, cache)
    other.size = other.maxsize = None
    frame.caches = kept
    return len(cut)


def _cut_upstreams(frame: Frame) -> int:
    kept, cut = _halves(frame.upstreams, lambda row: row.latency.total, lambda row: row.host == OTHER)
    if not cut:
        cut_details = sum(
            len(row.repeats) + len(row.call_sites) + len(row.failures) + len(row.paths) + len(row.made)
            for row in kept
        )
        for row in kept:
            row.repeats, row.call_sites, row.failures, row.spent = [], {}, {}, {}
            row.paths, row.made = [], []
            row.routes = _most(row.routes)
            row.host = short(row.host)
        return cut_details
    other = next((row for row in kept if row.host == OTHER), None)
    if other is None:
        other = UpstreamFrame(host=OTHER, method="", library="")
        kept.append(other)
    for row in cut:
        merge_upstream(other, row)
    frame.upstreams = kept
    return sum(row.latency.count for row in cut)


def _cut_channels(frame: Frame) -> int:
    kept, cut = _halves(frame.channels, lambda row: row.handling.total, lambda row: row.route == OTHER)
    if not cut:
        for row in kept:
            row.failures, row.codes, row.route = {}, {}, short(row.route)
        return len(kept)
    other = next((row for row in kept if row.route == OTHER), None)
    if other is None:
        other = ChannelFrame(route=OTHER, kind="")
        kept.append(other)
    for row in cut:
        row.open += other.open
        merge_channel(other, row)
    frame.channels = kept
    return sum(row.received + row.sent for row in cut)


def _cut_background(frame: Frame) -> int:
    kept, cut = _halves(frame.background, lambda row: row.latency.total, lambda row: row.name == OTHER)
    if not cut:
        for row in kept:
            row.failures, row.name, row.route = {}, short(row.name), short(row.route)
        return len(kept)
    other = next((row for row in kept if row.name == OTHER), None)
    if other is None:
        other = BackgroundFrame(name=OTHER, kind="")
        kept.append(other)
    for row in cut:
        running = other.running + row.running
        merge_background(other, row)
        other.running = running
    frame.background = kept
    return sum(row.latency.count for row in cut)


def _cut_texts(frame: Frame) -> int:
    cut, frame.texts = len(frame.texts), {}
    return cut


def _cut_evidence(frame: Frame) -> int:
    """Give up what was taken, which is large, and keep what it says; then all of it."""
    cut = sum(1 for each in frame.evidence if each.result)
    if cut:
        frame.evidence = [msgspec.structs.replace(each, result=b"") for each in frame.evidence]
        return cut
    cut, frame.evidence = len(frame.evidence), []
    return cut


def _cut_list(name: str) -> Callable[[Frame], int]:
    """Return what leaves out the second half of a list, in which what matters more comes first."""

    def cut(frame: Frame) -> int:
        values: list[Any] = getattr(frame, name)
        left_out = len(values) - len(values) // 2
        setattr(frame, name, values[: len(values) // 2])
        return left_out

    return cut


_CUTS: dict[str, Callable[[Frame], int]] = {
    "routes": _cut_routes,
    "statements": _cut_statements,
    "caches": _cut_caches,
    "upstreams": _cut_upstreams,
    "background": _cut_background,
    "channels": _cut_channels,
    "texts": _cut_texts,
    "evidence": _cut_evidence,
    **{
        name: _cut_list(name)
        for name in ("slowest", "incidents", "in_flight_rows", "pools", "listeners", "plans")
    },
}
"""What can be cut, and how; each returns how much that was."""


def _halves(
    rows: list[Row], cost: Callable[[Row], int], is_other: Callable[[Row], bool]
) -> tuple[list[Row], list[Row]]:
    """Return the costlier half of the rows, `(other)` among them, and the rest."""
    ordered = sorted(rows, key=lambda row: (is_other(row), cost(row)), reverse=True)
    named = len(ordered) - sum(map(is_other, ordered))
    kept = len(ordered) - (named + 1) // 2
    return ordered[:kept], ordered[kept:]


def _most(routes: dict[str, int]) -> dict[str, int]:
    """Return the routes that ran a statement most often; the others share `(other)`."""
    ordered = sorted(routes, key=lambda route: (route == OTHER, -routes[route]))
    told = {route: routes[route] for route in ordered[:KEPT_DETAILS]}
    if rest := sum(routes[route] for route in ordered[KEPT_DETAILS:]):
        told[OTHER] = told.get(OTHER, 0) + rest
    return told


def _cost_of_route(route: RouteFrame) -> int:
    return route.latency.total + route.status.total() * COST_OF_A_REQUEST_NS


def _cost_of_statement(statement: StatementFrame) -> int:
    return statement.latency.total


def _cost_of_cache(cache: CacheFrame) -> int:
    return cache.hits + COST_OF_A_MISS * cache.misses
