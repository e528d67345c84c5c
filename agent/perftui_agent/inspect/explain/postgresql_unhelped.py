"""Why no index would spare PostgreSQL a scan, in a sentence."""

from __future__ import annotations

from perftui_agent.inspect.explain.facts import WANTED_SHARE, Judged, share_told
from perftui_agent.inspect.explain.names import all_rows
from perftui_agent.inspect.explain.postgresql_reads import Read, anywhere, column_of, is_usable
from perftui_agent.inspect.explain.postgresql_tables import Table
from perftui_agent.inspect.explain.terms import Term
from perftui_agent.inspect.explain.tokens import shaped


def unhelped(read: Read) -> Judged:
    """Say why no index would spare a scan."""
    access, table = read.access, read.table
    rows = f"{all_rows(table)} are read"
    if not read.terms:
        return Judged("full", table.name, (), f"{rows}: nothing is filtered")
    for term in access.filters:
        if why := _why_not(term, access.alias, table):
            columns = tuple(
                dict.fromkeys(each.column for each in term.all_columns() if each.column in table.types)
            )
            there = next(
                (each for each in table.indexes if each.columns and each.columns[0] in columns), None
            )
            by = f"the index {there.name} can't be used" if there else "no index on it could be used"
            return Judged("unusable-index", table.name, columns, f"{rows}: {by}, {why}")
    filters = [term for term in access.filters if not term.asks]
    columns = tuple(
        dict.fromkeys(filter(None, (column_of(term, access.alias, table) for term in read.terms)))
    )
    share = table.share(access.alias, filters)
    if not filters:
        return Judged(
            "most-rows", table.name, columns, f"{rows}, and joined: no filter leads to some of them"
        )
    if share is not None and share > WANTED_SHARE:
        kept = f"{rows}, of which {share_told(share)} are kept: an index would not spare it much"
        return Judged("most-rows", table.name, columns, kept)
    if table.unsampled:
        return Judged("fine", table.name, columns, f"{rows}: no row was looked at ({table.unsampled})")
    return Judged("fine", table.name, columns, f"{rows}: no index is known that would spare it")


def _why_not(term: Term, alias: str, table: Table) -> str:
    column = term.column.column
    if term.kind == "pattern" and term.any_case:
        return f"since {column} is compared without regard to case; one of pg_trgm's could be"
    if term.kind == "pattern" and anywhere(term):
        return f"since the pattern for {column} begins with anything; one of pg_trgm's could be"
    if term.kind == "wrapped":
        return f"since it is {shaped(term.wrapping)} that is compared, and not the column"
    if column_of(term, alias, table) and not is_usable(term, column, table) and term.cast:
        return f"since {column} is cast to {shaped(term.cast)} for the comparison"
    if term.kind == "negated" and column:
        return f"since what {column} is not leads nowhere"
    return ""
