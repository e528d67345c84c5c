"""What goes on after responses and on connections that stay open, as text."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.model.after import BackgroundSummary, ChannelSummary
from perftui.present.documents.table import Column, more, table
from perftui.present.text.evidence import short_place
from perftui.present.text.quantile import marked
from perftui.present.text.units import NO_DATA, count, ms, rate, size

MAX_FUNCTIONS = 15
MAX_ROUTES = 15


def background(found: Sequence[BackgroundSummary], room: int) -> list[str]:
    """Return what runs after responses, by function and route, the costliest first.

    `held up` is how many responses were held open by it, and for how long each.
    """
    running, held = any(row.running for row in found), any(row.held for row in found)
    columns = [Column("function", shrinks=True), Column("by")]
    columns += [Column(name, True) for name in ("count", "errors", "p95", "total")]
    columns += [Column("running", True), Column("oldest", True)] if running else []
    columns += [Column("held up", True)] if held else []
    columns += [Column("route", shrinks=True)]
    costliest = sorted(found, key=lambda row: -(row.total_ms + (row.oldest_ms or 0.0)))
    rows = [
        (
            short_place(row.name),
            row.kind,
            count(row.count),
            count(row.errors),
            marked(row.p95_ms, row.count, "p95"),
            ms(row.total_ms),
            *([count(row.running), ms(row.oldest_ms)] if running else []),
            *([_held_up(row)] if held else []),
            row.route or NO_DATA,
        )
        for row in costliest[:MAX_FUNCTIONS]
    ]
    return table(columns, rows, room) + more(len(found) - MAX_FUNCTIONS, "functions")


def _held_up(row: BackgroundSummary) -> str:
    return f"{count(row.held)} × {ms(row.held_ms / row.held)}" if row.held else count(0)


def channels(found: Sequence[ChannelSummary], room: int) -> list[str]:
    """Return WebSockets and streams by route, those whose messages take most first."""
    columns = [Column("route", shrinks=True), Column("kind")]
    names = ("open", "errors", "in/s", "out/s", "out B/s", "first", "handling", "blocked")
    columns += [Column(name, True) for name in names]
    rows = [
        (
            row.route,
            row.kind,
            count(row.open),
            count(row.errors),
            rate(row.received_per_s),
            rate(row.sent_per_s),
            size(row.sent_bytes_per_s),
            marked(row.first_p95_ms, row.firsts, "p95"),
            marked(row.handling_p95_ms, row.handled, "p95"),
            marked(row.blocked_p95_ms, row.sent, "p95"),
        )
        for row in sorted(found, key=lambda row: (-row.handling_ms, -(row.received + row.sent)))[:MAX_ROUTES]
    ]
    return table(columns, rows, room) + more(len(found) - MAX_ROUTES, "routes")
