"""A database that is a file: what it is like, who holds its write lock, and who has a connection out."""

from __future__ import annotations

from perftui.model.database import DatabaseView, Holder
from perftui.present.details.database_rows import MOST, row_of, title_rows
from perftui.present.text.blocks import pairs
from perftui.present.text.cells import Cell, Style, clean, fit, shortened
from perftui.present.text.evidence import Row, Subject, rows_of
from perftui.present.text.units import ms, size
from perftui_agent.wire.database import SqliteFile

_SYNCHRONOUS = ("off", "normal", "full", "extra")


def file_rows(view: DatabaseView, file: SqliteFile, width: int) -> list[Row]:
    """Return all that is known of it."""
    items: list[tuple[str, str, Style]] = [
        ("size", size(file.page_bytes * file.pages), "text"),
        ("free in it", size(file.page_bytes * file.free_pages), "dim"),
        ("page cache", f"{size(file.cache_bytes)} a connection", "text"),
        ("busy time-out", ms(file.busy_timeout_ms), "text" if file.busy_timeout_ms else "medium"),
        ("synchronous", _SYNCHRONOUS[file.synchronous % len(_SYNCHRONOUS)], "dim"),
    ]
    if file.wal_bytes is not None:
        items.append(("log", size(file.wal_bytes), "text"))
    return [*rows_of(pairs(items, width)), *_write_lock(view, file, width), *_out(view, width)]


def _write_lock(view: DatabaseView, file: SqliteFile, width: int) -> list[Row]:
    writer = view.writer
    note = "nobody holds it" if file.writer == 0 else "" if file.writer else "not known"
    rows = title_rows("THE WRITE LOCK", width, note)
    if file.writer:
        who = f"process {file.writer}" if writer is None else _holder(writer)
        cells = (Cell(" ▲ ", "medium"), Cell(f"{who} holds it", "bright"))
        rows.append(row_of(cells, width, _subject(writer)))
    for each in view.waiting_for_writer[:MOST]:
        said = f"{_holder(each, each.held.writing_ns)}: seems to wait"
        rows.append(row_of((Cell("  └ ", "dim"), Cell(said, "text")), width, _subject(each)))
    return rows


def _out(view: DatabaseView, width: int) -> list[Row]:
    out = sorted((each for each in view.holders if each.held.held), key=lambda each: -each.held.age_ns)
    rows = title_rows("CONNECTIONS OUT", width, f"{len(out)} of {len(view.holders)}")
    for each in out[:MOST]:
        within = "  in a transaction" if each.held.in_transaction else ""
        cells = (Cell("  "), Cell(fit(_holder(each), 50), "text"), Cell(within, "medium"))
        rows.append(row_of(cells, width, _subject(each)))
    return rows


def _holder(holder: Holder, for_ns: int | None = None) -> str:
    route = holder.held.route or "no request"
    for_ms = (holder.held.age_ns if for_ns is None else for_ns) / 1e6
    return clean(f"{shortened(route, 30)}  worker {holder.pid}  {ms(for_ms)}")


def _subject(holder: Holder | None) -> Subject | None:
    if holder is None:
        return None
    return Subject("route", holder.held.route) if holder.held.route else Subject("worker", holder.worker)
