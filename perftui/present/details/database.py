"""A database's own view, as a screen: who waits for whom first, then who idles, runs, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.model.database import Databases, DatabaseView, Holder, SessionRow
from perftui.present.text.blocks import pairs, section
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit, fit_line, shortened
from perftui.present.text.units import count, ms, percent, short_count, size
from perftui_agent.wire.database import SqliteFile

MOST = 12
"""Rows of a block."""

KINDS = {"postgresql": "PostgreSQL", "sqlite": "SQLite", "mysql": "MySQL", "mariadb": "MariaDB"}

_TREE = ("├", "└")


def database_lines(databases: Databases, width: int) -> list[Line]:
    """Return all lines of the screen."""
    lines: list[Line] = []
    for view in databases.views:
        if lines:
            lines += [BLANK, BLANK]
        lines += _view(view, width)
    for pid, refusal in sorted(databases.refusals.items()):
        lines.append(_note(f"worker {pid} does not say which sessions are its own: {refusal.reason}", width))
    return lines


def head_of(view: DatabaseView) -> str:
    """Return what a database is and how full, in a line: `main · PostgreSQL 18 · 41/97 connections`."""
    look = view.look
    parts = [view.name, f"{KINDS.get(look.kind, look.kind)} {look.version.partition(' ')[0]}".strip()]
    if look.connections_used is not None:
        parts.append(f"{look.connections_used}/{view.open_connections} connections")
    if look.cache_hit is not None:
        parts.append(f"cache hit {percent(look.cache_hit)}")
    if view.sqlite is not None:
        parts.append(f"journal {view.sqlite.journal_mode}")
        parts.append(f"{len(view.holders)} connections of ours")
    return " · ".join(map(clean, parts))


def _view(view: DatabaseView, width: int) -> list[Line]:
    lines = [fit_line((Cell(f" database {head_of(view)}", "bright"),), width)]
    if view.look.refused:
        lines.append(fit_line((Cell("  ✗ ", "high"), Cell(clean(view.look.refused), "bright")), width))
        if view.look.advice:
            lines.append(_note(view.look.advice, width))
        return lines
    if view.sqlite is not None:
        lines += _file(view, view.sqlite, width)
    else:
        lines += _connections(view, width)
        lines += _locks(view, width)
        lines += _sessions(view, width)
        lines += _statements(view, width)
        lines += _tables(view, width)
    if view.unmatched:
        lines.append(_note("no session here is a worker's by its pid: a pooler stands in between", width))
    if view.look.left_out:
        lines += [BLANK, section("LEFT OUT", width)]
        lines += [_note(each, width) for each in view.look.left_out]
    return lines


def _connections(view: DatabaseView, width: int) -> list[Line]:
    look, most = view.look, view.open_connections
    used = look.connections_used or 0
    style: Style = (
        "high" if most and used >= 0.97 * most else "medium" if most and used >= 0.9 * most else "text"
    )
    items: list[tuple[str, str, Style]] = [
        ("connections", f"{used} of {most}", style),
        ("of this service", str(sum(row.ours for row in view.sessions)), "text"),
        ("reserved", str(look.connections_reserved), "dim"),
    ]
    if look.deadlocks:
        items.append(("deadlocks so far", count(look.deadlocks), "text"))
    items += [(clean(name), str(number), "dim") for name, number in list(look.applications.items())[:4]]
    return pairs(items, width)


def _locks(view: DatabaseView, width: int) -> list[Line]:
    waiting = len({row.blocked for row in view.locks})
    lines = [BLANK, section("LOCKS", width, f"{waiting} waiting" if waiting else "nobody waits")]
    for root in view.roots[:MOST]:
        lines.append(_root(view, root, width))
        lines += _branches(view, root, "  ", {root}, width)
    return lines


def _root(view: DatabaseView, root: int, width: int) -> Line:
    row = view.session(root)
    on = ", ".join(dict.fromkeys(lock.on for lock in view.locks if lock.root == root))
    who = "a prepared transaction" if root == 0 else f"session {root}"
    doing = ""
    if row is not None:
        who = _who(row)
        doing = f"{row.session.state or 'state not told'} {ms(row.age_ms)}"
    return fit_line(
        (
            Cell("▲ ", "high"),
            Cell(fit(who, _room(width)), "bright"),
            Cell(f"  {fit(doing, 25)}", "medium"),
            Cell(f"  holds {clean(on)}", "text"),
        ),
        width,
    )


def _branches(view: DatabaseView, pid: int, indent: str, seen: set[int], width: int) -> list[Line]:
    """Return who waits for a session, each with who waits for him in turn."""
    rows = [row for row in view.locks if row.by == pid and row.blocked not in seen]
    lines: list[Line] = []
    for place, row in enumerate(rows[:MOST]):
        last = place == min(len(rows), MOST) - 1
        session = view.session(row.blocked)
        who = _who(session) if session is not None else f"session {row.blocked}"
        statement = session.session.statement if session is not None else ""
        lines.append(
            fit_line(
                (
                    Cell(f"{indent}{_TREE[last]} ", "dim"),
                    Cell(fit(who, max(_room(width) - len(indent), 12)), "text"),
                    Cell(f"  waits {ms(row.waits_ms):>6}", "medium"),
                    Cell(f"  {clean(statement or row.on)}", "text"),
                ),
                width,
            )
        )
        seen.add(row.blocked)
        lines += _branches(view, row.blocked, indent + ("  " if last else "│ "), seen, width)
    if len(rows) > MOST:
        lines.append(_note(f"{indent}{len(rows) - MOST} more wait", width))
    return lines


def _room(width: int) -> int:
    """Return how much of a line says who it is."""
    return min(max(width - 52, 20), 40)


def _who(row: SessionRow) -> str:
    if row.ours:
        return clean(f"{row.who}  worker {row.worker_pid}")
    return clean(f"{row.who}  session {row.pid}")


def _sessions(view: DatabaseView, width: int) -> list[Line]:
    idle = [row for row in view.sessions if row.idles_within]
    active = [row for row in view.sessions if row.session.state == "active"]
    active.sort(key=lambda row: -(row.session.statement_ns or 0))
    lines: list[Line] = []
    if idle:
        idle.sort(key=lambda row: -(row.state_ms or 0.0))
        lines += [BLANK, section("IDLE IN TRANSACTION", width, f"{len(idle)}")]
        lines += [_session(row, row.state_ms, width) for row in idle[:MOST]]
    lines += [BLANK, section("RUNNING", width, f"{len(active)}" if active else "nothing runs")]
    for row in active[:MOST]:
        ran_ms = None if row.session.statement_ns is None else row.session.statement_ns / 1e6
        lines.append(_session(row, ran_ms, width))
    quiet = sum(row.session.state == "idle" for row in view.sessions)
    hidden = sum(row.session.hidden for row in view.sessions)
    rest = [f"{quiet} idle"] if quiet else []
    rest += [f"{hidden} of other users, whose state is not told"] if hidden else []
    return [*lines, _note(", ".join(rest), width)] if rest else lines


def _session(row: SessionRow, for_ms: float | None, width: int) -> Line:
    waits = f"  waits for {row.session.waits_for}" if row.session.waits_for else ""
    left = "  its request is over" if row.ours and row.route and not row.in_flight else ""
    return fit_line(
        (
            Cell(fit(ms(for_ms), 8, "right"), "bright"),
            Cell("  "),
            Cell(fit(_who(row), _room(width)), "text"),
            Cell(clean(f"{waits}{left}"), "medium"),
            Cell(f"  {clean(row.session.statement)}", "text"),
        ),
        width,
    )


def _statements(view: DatabaseView, width: int) -> list[Line]:
    if not view.statements:
        return []
    lines = [BLANK, section("COST THE SERVER MOST", width, "total, mean, calls, cache hit")]
    return lines + [
        fit_line(
            (
                Cell(fit(ms(each.total_ns / 1e6), 8, "right"), "bright"),
                Cell(fit(ms(each.mean_ns / 1e6), 9, "right"), "text"),
                Cell(fit(short_count(each.calls), 9, "right"), "dim"),
                Cell(fit(percent(each.cache_hit), 7, "right"), "dim"),
                Cell(f"  {clean(each.statement)}", "text"),
            ),
            width,
        )
        for each in view.statements[:MOST]
    ]


def _tables(view: DatabaseView, width: int) -> list[Line]:
    if not view.tables:
        return []
    room = max(width - 58, 12)
    head = f"{'size':>8}{'indexes':>9}{'rows':>8}{'dead':>8}{'seq scans':>11}{'index scans':>13}"
    lines = [BLANK, section("TABLES OF THIS SERVICE", width), _head(fit("", room) + head, width)]
    for each in view.tables[:MOST]:
        dead: Style = "medium" if each.dead_rows > max(each.rows, 1000) * 0.2 else "dim"
        lines.append(
            fit_line(
                (
                    Cell(" "),
                    Cell(fit(clean(each.table), room - 1), "text"),
                    Cell(fit(size(each.bytes), 8, "right"), "text"),
                    Cell(fit(size(each.index_bytes), 9, "right"), "dim"),
                    Cell(fit(short_count(each.rows), 8, "right"), "text"),
                    Cell(fit(short_count(each.dead_rows), 8, "right"), dead),
                    Cell(fit(short_count(each.sequential_scans), 11, "right"), "text"),
                    Cell(fit(short_count(each.index_scans), 13, "right"), "dim"),
                ),
                width,
            )
        )
    return lines


def _file(view: DatabaseView, file: SqliteFile, width: int) -> list[Line]:
    items: list[tuple[str, str, Style]] = [
        ("size", size(file.page_bytes * file.pages), "text"),
        ("free in it", size(file.page_bytes * file.free_pages), "dim"),
        ("page cache", f"{size(file.cache_bytes)} a connection", "text"),
        ("busy time-out", ms(file.busy_timeout_ms), "text" if file.busy_timeout_ms else "medium"),
        ("synchronous", ("off", "normal", "full", "extra")[file.synchronous % 4], "dim"),
    ]
    if file.wal_bytes is not None:
        items.append(("log", size(file.wal_bytes), "text"))
    lines = pairs(items, width)
    writer = view.writer
    note = "nobody holds it" if file.writer == 0 else "" if file.writer else "not known"
    lines += [BLANK, section("THE WRITE LOCK", width, note)]
    if file.writer:
        who = f"worker {file.writer}" if writer is None else _holder(writer)
        lines.append(fit_line((Cell("▲ ", "medium"), Cell(f"{who} holds it", "bright")), width))
        lines += [
            fit_line(
                (Cell("  └ ", "dim"), Cell(f"{_holder(each, each.held.writing_ns)}: seems to wait", "text")),
                width,
            )
            for each in view.waiting_for_writer[:MOST]
        ]
    out = [each for each in view.holders if each.held.held]
    lines += [BLANK, section("CONNECTIONS OUT", width, f"{len(out)} of {len(view.holders)}")]
    lines += [
        fit_line(
            (
                Cell("  "),
                Cell(fit(_holder(each), 50), "text"),
                Cell("  in a transaction" if each.held.in_transaction else "", "medium"),
            ),
            width,
        )
        for each in sorted(out, key=lambda each: -each.held.age_ns)[:MOST]
    ]
    return lines


def _holder(holder: Holder, for_ns: int | None = None) -> str:
    route = holder.held.route or "no request"
    for_ms = (holder.held.age_ns if for_ns is None else for_ns) / 1e6
    return clean(f"{shortened(route, 30)}  worker {holder.pid}  {ms(for_ms)}")


def _head(text: str, width: int) -> Line:
    return fit_line((Cell(text, "label"),), width)


def _note(text: str, width: int) -> Line:
    return fit_line((Cell(f"  {clean(text)}", "dim"),), width)


def waiting_lines(width: int) -> list[Line]:
    """Return what there is to say while it is asked."""
    return [BLANK, fit_line((Cell("  ○ ", "medium"), Cell("asking the database …", "text")), width)]


def nothing_lines(refusals: Sequence[str], width: int) -> list[Line]:
    """Return why there is nothing to show."""
    told = refusals or ["the workers have used no database through SQLAlchemy so far"]
    return [BLANK, *(fit_line((Cell("  ✗ ", "high"), Cell(clean(each), "bright")), width) for each in told)]
