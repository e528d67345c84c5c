"""The connections of one route: what goes over them, where the time of a message goes, how they end."""

from __future__ import annotations

from perftui.model.after import ChannelSummary
from perftui.present.charts.drawing import bar
from perftui.present.picture import Picture
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit, fit_line
from perftui.present.text.evidence import Row, Subject, rows_of, stacked, verdict_rows
from perftui.present.text.quantile import marked_cell
from perftui.present.text.units import count, ms, percent, rate, size

KINDS = {"websocket": "WebSockets", "events": "event streams", "stream": "streams"}
"""In words, by the name on the wire."""


def channel_rows(picture: Picture, key: str, width: int, height: int) -> list[Row]:
    """Return everything known of one route's connections."""
    row = next((each for each in picture.summary.channels if each.key == key), None)
    if row is None:
        return rows_of([BLANK, (Cell("  nothing went over it in this window", "dim"),)])
    found = [each for each in picture.findings if each.channel == key]
    known = picture.summary.route(row.route) is not None
    heading = Row(
        fit_line(
            (Cell(f"  {KINDS.get(row.kind, clean(row.kind))} of ", "dim"), Cell(clean(row.route), "name")),
            width,
        ),
        Subject("route", row.route) if known else None,
    )
    return stacked(
        [
            [heading],
            rows_of(_figures(row, width)),
            verdict_rows(found, width),
            rows_of(_spent(row, width)),
            rows_of(_sending(row, width)),
            rows_of(_asks(row, width)),
            rows_of(_endings(row, width)),
        ],
        height,
    )


def _figures(row: ChannelSummary, width: int) -> list[Line]:
    items: list[tuple[str, str, Style]] = [
        ("open", count(row.open), "bright"),
        ("in", f"{rate(row.received_per_s)}/s, {size(row.received_bytes_per_s)}/s", "text"),
        ("out", f"{rate(row.sent_per_s)}/s, {size(row.sent_bytes_per_s)}/s", "text"),
    ]
    if row.handled:
        items += [
            ("handling p50", *marked_cell(row.handling_p50_ms, row.handled, "p50", "bright")),
            ("p95", *marked_cell(row.handling_p95_ms, row.handled, "p95", "bright")),
            ("max", ms(row.handling_max_ms), "text"),
            ("n", count(row.handled), "text"),
        ]
    if row.firsts:
        items.append(("first message p95", *marked_cell(row.first_p95_ms, row.firsts, "p95")))
    items += [("opened", count(row.opened), "text"), ("closed", count(row.closed), "text")]
    if row.lasted_p50_ms is not None:
        items.append(("lasted p50", ms(row.lasted_p50_ms), "text"))
    if row.under_way:
        items.append(("at work", f"{row.under_way}, up to {ms(row.longest_ms)}", "bright"))
    return pairs(items, width)


def _spent(row: ChannelSummary, width: int) -> list[Line]:
    """Return where the time of an average message goes: the handler's own, and what is not its."""
    whole_ms = row.handling_ms + row.held_ms + row.news_ms
    if not row.handled or not whole_ms:
        return []
    after = f"after {percent(row.queued / row.handled)} the next had been waiting" if row.queued else ""
    parts = [
        ("its own", row.handling_ms, after),
        ("loop wait", row.held_ms, "the loop was held by others"),
        ("news", row.news_ms, "waits for what others have to say"),
    ]
    room = max(width - 62, 6)
    lines: list[Line] = [section(f"WHERE AN AVERAGE MESSAGE SPENDS ITS {ms(whole_ms / row.handled)}", width)]
    for name, spent_ms, note in parts:
        label = (
            Cell(fit(f"  {name}", 14), "label"),
            Cell(fit(ms(spent_ms / row.handled), 8, "right"), "bright"),
        )
        drawn = Cell(fit(bar(spent_ms / whole_ms, room), room), "chart")
        lines.append(fit_line((*label, Cell("  "), drawn, Cell(f"  {note}", "dim")), width))
    return lines


def _sending(row: ChannelSummary, width: int) -> list[Line]:
    """Return how sends are held up: by clients that don't read, or a network that is full."""
    if not row.blocked and not row.sending:
        return []
    items: list[tuple[str, str, Style]] = [
        ("p95 of all", *marked_cell(row.blocked_p95_ms, row.sent, "p95")),
        ("max", ms(row.blocked_max_ms), "text"),
        ("held up", count(row.blocked), "text"),
    ]
    if row.sending:
        items.append(("now", f"{row.sending}, up to {ms(row.sending_longest_ms)}", "medium"))
    return [section("SENDS HELD UP BY WHO READS", width), *pairs(items, width)]


def _asks(row: ChannelSummary, width: int) -> list[Line]:
    items: list[tuple[str, str, Style]] = [
        (name, f"{count(times)} in {ms(spent_ms)}", "text")
        for name, times, spent_ms in (
            ("statements", row.sql, row.sql_ms),
            ("lookups", row.cache, row.cache_ms),
            ("calls", row.calls, row.calls_ms),
        )
        if times or spent_ms
    ]
    return [section("ASKS", width), *pairs(items, width)] if items else []


def _endings(row: ChannelSummary, width: int) -> list[Line]:
    items: list[tuple[str, str, Style]] = [
        *((f"code {clean(code)}", count(times), "text") for code, times in row.codes.items()),
        *((clean(name), count(times), "medium") for name, times in row.failures.items()),
    ]
    return [section("ENDED AS", width), *pairs(items, width)] if items else []
