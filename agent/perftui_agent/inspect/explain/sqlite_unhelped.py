"""What is to be said of a scan in SQLite: what it finds, and why no index would spare it."""

from __future__ import annotations

from perftui_agent.inspect.explain.facts import WANTED_SHARE, Judged, covers, share_told
from perftui_agent.inspect.explain.names import all_rows
from perftui_agent.inspect.explain.sqlite_reads import Read, Reading, bare, column_in
from perftui_agent.inspect.explain.terms import Term
from perftui_agent.inspect.explain.tokens import shaped


def unhelped(reading: Reading, read: Read) -> Judged:
    """Say why no index would spare a scan."""
    table, name = read.table, read.access.name
    rows = f"{all_rows(table)} are read"
    if not read.terms:
        return Judged("full", table.name, (), f"{rows}: nothing is filtered")
    for term in read.terms:
        if why := _why_not(reading, term):
            columns = tuple(
                dict.fromkeys(each.column for each in term.all_columns() if table.has(each.column))
            )
            lower = {column.lower() for column in columns}
            there = next((each for each in table.indexes if each.columns and each.columns[0] in lower), None)
            by = f"the index {there.name} can't be used" if there else "no index on it could be used"
            return Judged("unusable-index", table.name, columns, f"{rows}: {by}, {why}")
    filters = [term for term in read.terms if term.kind != "join" and not term.asks]
    share = table.share(name, filters)
    columns = tuple(dict.fromkeys(filter(None, (column_in(term, name, table) for term in read.terms))))
    if not filters:
        return Judged(
            "most-rows", table.name, columns, f"{rows}, and joined: no filter leads to some of them"
        )
    if share is not None and share > WANTED_SHARE:
        kept = f"{rows}, of which {share_told(share)} are kept: an index would not spare it much"
        return Judged("most-rows", table.name, columns, kept)
    return Judged("fine", table.name, columns, f"{rows}: no index is known that would spare it")


def _why_not(reading: Reading, term: Term) -> str:
    if term.kind == "pattern" and reading.anywhere(term):
        return f"since the pattern for {term.column.column} may begin with anything"
    if term.kind == "pattern":
        return f"since LIKE compares without regard to case, and {term.column.column} does not"
    if term.kind == "wrapped":
        return f"since it is {shaped(term.wrapping)} that is compared, and not the column"
    if term.kind == "negated" and term.column.column:
        return f"since what {term.column.column} is not leads nowhere"
    return ""


def unused(read: Read, columns: tuple[str, ...]) -> Judged:
    """Say that an index that there is was not gone by."""
    table = read.table
    there = next(each for each in table.indexes if covers(each, tuple(map(bare, columns))))
    return Judged(
        "unused-index",
        table.name,
        there.columns,
        f"{table.name} is read whole although there is the index {there.name}: what SQLite knows of its "
        "values may be old (ANALYZE)",
    )


def found_by_scan(read: Read, share: float) -> str:
    """Say what is read to find how much."""
    table = read.table
    kept = f"{share_told(share)} of them"
    if read.access.how == "temporary":
        return f"{all_rows(table)} are read to make an index for this one run"
    if read.access.inner:
        return f"{all_rows(table)} are read again and again, to find {kept}"
    return f"{all_rows(table)} are read to find {kept}"
