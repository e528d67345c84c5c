"""A database's own view, as a screen: who waits for whom first, then who idles, runs, and what it costs.

A row leads to the route that has the session; of a statement to its own screen.
"""

from __future__ import annotations

from collections.abc import Sequence

from perftui.model.database import Databases, DatabaseView, LockRow, SessionRow
from perftui.present.details.database_file import file_rows
from perftui.present.details.database_rows import MOST, note_row, row_of, title_rows
from perftui.present.text.blocks import pairs
from perftui.present.text.cells import BLANK, Cell, Line, Style, clean, fit, fit_line
from perftui.present.text.evidence import Row, Subject, rows_of
from perftui.present.text.units import count, ms, percent, short_count, size

KINDS = {"postgresql": "PostgreSQL", "sqlite": "SQLite", "mysql": "MySQL", "mariadb": "MariaDB"}

_TREE = ("├", "└")


def database_rows(databases: Databases, width: int) -> list[Row]:
    """Return all rows of the screen."""
    rows: list[Row] = []
    for view in databases.views:
        if rows:
            rows += rows_of([BLANK, BLANK])
        rows += _view(view, width)
    for pid, refusal in sorted(databases.refusals.items()):
        said = f"worker {pid} does not say which sessions are its own: {refusal.reason}"
        rows.append(note_row(said, width))
    return rows


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


def _view(view: DatabaseView, width: int) -> list[Row]:
    rows = [row_of((Cell(f" database {head_of(view)}", "bright"),), width)]
    if view.look.refused:
        rows.append(row_of((Cell("  ✗ ", "high"), Cell(clean(view.look.refused), "bright")), width))
        if view.look.advice:
            rows.append(note_row(view.look.advice, width))
        return rows
    if view.sqlite is not None:
        rows += file_rows(view, view.sqlite, width)
    else:
        rows += rows_of(_connections(view, width))
        rows += _locks(view, width)
        rows += _sessions(view, width)
        rows += _statements(view, width)
        rows += _tables(view, width)
    if view.unmatched:
        rows.append(note_row("no session here is a worker's by its pid: a pooler stands in between", width))
    if view.look.left_out:
        rows += title_rows("LEFT OUT", width)
        rows += [note_row(each, width) for each in view.look.left_out]
    return rows


def _connections(view: DatabaseView, width: int) -> list[Line]:
    look, most = view.look, view.open_connections
    used = look.connections_used or 0
    share = used / most if most else 0.0
    style: Style = "high" if share >= 0.97 else "medium" if share >= 0.9 else "text"
    items: list[tuple[str, str, Style]] = [
        ("connections", f"{used} of {most}", style),
        ("of this service", str(sum(row.ours for row in view.sessions)), "text"),
        ("reserved", str(look.connections_reserved), "dim"),
    ]
    if look.deadlocks:
        items.append(("deadlocks so far", count(look.deadlocks), "text"))
    items += [(clean(name), str(number), "dim") for name, number in list(look.applications.items())[:4]]
    return pairs(items, width)


def _locks(view: DatabaseView, width: int) -> list[Row]:
    waiting = len({row.blocked for row in view.locks})
    rows = title_rows("LOCKS", width, f"{waiting} waiting" if waiting else "nobody waits")
    for root in view.roots[:MOST]:
        rows.append(_root(view, root, width))
        rows += _branches(view, root, "  ", {root}, width)
    return rows


def _root(view: DatabaseView, root: int, width: int) -> Row:
    row = view.session(root)
    on = ", ".join(dict.fromkeys(lock.on for lock in view.locks if lock.root == root))
    who = "a prepared transaction" if root == 0 else f"session {root}"
    doing = ""
    if row is not None:
        who = _who(row)
        doing = f"{row.session.state or 'state not told'} {ms(row.age_ms)}"
    cells = (
        Cell(" ▲ ", "high"),
        Cell(fit(who, _room(width) - 1), "bright"),
        Cell(f"  {fit(doing, 25)}", "medium"),
        Cell(f"  holds {clean(on)}", "text"),
    )
    return row_of(cells, width, _subject(row))


def _branches(view: DatabaseView, pid: int, indent: str, seen: set[int], width: int) -> list[Row]:
    """Return who waits for a session, each with who waits for him in turn."""
    waiting = [row for row in view.locks if row.by == pid and row.blocked not in seen]
    rows: list[Row] = []
    for place, row in enumerate(waiting[:MOST]):
        last = place == min(len(waiting), MOST) - 1
        rows.append(_branch(view, row, f"{indent}{_TREE[last]} ", width))
        seen.add(row.blocked)
        rows += _branches(view, row.blocked, indent + ("  " if last else "│ "), seen, width)
    if len(waiting) > MOST:
        rows.append(note_row(f"{indent}{len(waiting) - MOST} more wait", width))
    return rows


def _branch(view: DatabaseView, row: LockRow, branch: str, width: int) -> Row:
    session = view.session(row.blocked)
    who = _who(session) if session is not None else f"session {row.blocked}"
    statement = session.session.statement if session is not None else ""
    cells = (
        Cell(branch, "dim"),
        Cell(fit(who, max(_room(width) + 2 - len(branch), 12)), "text"),
        Cell(f"  waits {ms(row.waits_ms):>6}", "medium"),
        Cell(f"  {clean(statement or row.on)}", "text"),
    )
    return row_of(cells, width, _subject(session))


def _room(width: int) -> int:
    """Return how much of a line says who it is."""
    return min(max(width - 52, 20), 40)


def _who(row: SessionRow) -> str:
    if row.ours:
        return clean(f"{row.who}  worker {row.worker_pid}")
    return clean(f"{row.who}  session {row.pid}")


def _subject(row: SessionRow | None) -> Subject | None:
    """Return where a session leads to: its route, else its worker; another application's to nowhere."""
    if row is None:
        return None
    if row.route:
        return Subject("route", row.route)
    return Subject("worker", row.worker) if row.worker is not None else None


def _sessions(view: DatabaseView, width: int) -> list[Row]:
    idle = [row for row in view.sessions if row.idles_within]
    active = [row for row in view.sessions if row.session.state == "active"]
    active.sort(key=lambda row: -(row.session.statement_ns or 0))
    rows: list[Row] = []
    if idle:
        idle.sort(key=lambda row: -(row.state_ms or 0.0))
        rows += title_rows("IDLE IN TRANSACTION", width, f"{len(idle)}")
        rows += [_session(row, row.state_ms, width) for row in idle[:MOST]]
    rows += title_rows("RUNNING", width, f"{len(active)}" if active else "nothing runs")
    for row in active[:MOST]:
        ran_ms = None if row.session.statement_ns is None else row.session.statement_ns / 1e6
        rows.append(_session(row, ran_ms, width))
    quiet = sum(row.session.state == "idle" for row in view.sessions)
    hidden = sum(row.session.hidden for row in view.sessions)
    rest = [f"{quiet} idle"] if quiet else []
    rest += [f"{hidden} of other users, whose state is not told"] if hidden else []
    return [*rows, note_row(", ".join(rest), width)] if rest else rows


def _session(row: SessionRow, for_ms: float | None, width: int) -> Row:
    waits = f"  waits for {row.session.waits_for}" if row.session.waits_for else ""
    left = "  its request is over" if row.ours and row.route and not row.in_flight else ""
    cells = (
        Cell(fit(ms(for_ms), 8, "right"), "bright"),
        Cell("  "),
        Cell(fit(_who(row), _room(width)), "text"),
        Cell(clean(f"{waits}{left}"), "medium"),
        Cell(f"  {clean(row.session.statement)}", "text"),
    )
    return row_of(cells, width, _subject(row))


def _statements(view: DatabaseView, width: int) -> list[Row]:
    if not view.statements:
        return []
    rows = title_rows("COST THE SERVER MOST", width, "total, mean, calls, cache hit")
    for each in view.statements[:MOST]:
        cells = (
            Cell(fit(ms(each.total_ns / 1e6), 8, "right"), "bright"),
            Cell(fit(ms(each.mean_ns / 1e6), 9, "right"), "text"),
            Cell(fit(short_count(each.calls), 9, "right"), "dim"),
            Cell(fit(percent(each.cache_hit), 7, "right"), "dim"),
            Cell(f"  {clean(each.statement)}", "text"),
        )
        rows.append(row_of(cells, width, Subject("statement", each.fingerprint)))
    return rows


def _tables(view: DatabaseView, width: int) -> list[Row]:
    if not view.tables:
        return []
    room = max(width - 58, 12)
    head = f"{'size':>8}{'indexes':>9}{'rows':>8}{'dead':>8}{'seq scans':>11}{'index scans':>13}"
    rows = title_rows("TABLES OF THIS SERVICE", width)
    rows.append(row_of((Cell(fit("", room) + head, "label"),), width))
    for each in view.tables[:MOST]:
        dead: Style = "medium" if each.dead_rows > max(each.rows, 1000) * 0.2 else "dim"
        cells = (
            Cell(" "),
            Cell(fit(clean(each.table), room - 1), "text"),
            Cell(fit(size(each.bytes), 8, "right"), "text"),
            Cell(fit(size(each.index_bytes), 9, "right"), "dim"),
            Cell(fit(short_count(each.rows), 8, "right"), "text"),
            Cell(fit(short_count(each.dead_rows), 8, "right"), dead),
            Cell(fit(short_count(each.sequential_scans), 11, "right"), "text"),
            Cell(fit(short_count(each.index_scans), 13, "right"), "dim"),
        )
        rows.append(row_of(cells, width))
    return rows


def waiting_rows(width: int) -> list[Row]:
    """Return what there is to say while it is asked."""
    return rows_of([BLANK, fit_line((Cell("  ○ ", "medium"), Cell("asking the database …", "text")), width)])


def nothing_rows(refusals: Sequence[str], width: int) -> list[Row]:
    """Return why there is nothing to show."""
    told = refusals or ["the workers have used no database through SQLAlchemy so far"]
    return [
        Row(BLANK),
        *(row_of((Cell("  ✗ ", "high"), Cell(clean(each), "bright")), width) for each in told),
    ]
