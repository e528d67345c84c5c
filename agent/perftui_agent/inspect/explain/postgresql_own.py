"""Which operators and functions of a PostgreSQL are the app's own code, which a sample must not run.

A function may do or wait for anything, whatever it is called and however quick it was meant to be. What
PostgreSQL brings itself is known, and what an extension brings and calls immutable is believed.
"""

from __future__ import annotations

from perftui_agent.inspect.database.read_only import Ask
from perftui_agent.inspect.explain.terms import HARMLESS, Term
from perftui_agent.inspect.explain.tokens import tokens_of

_BELIEVED = """
(p.provolatile = 'i' AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
  WHERE d.classid = '{of}'::regclass AND d.objid = {oid} AND d.deptype = 'e'))
"""

_OPERATORS = f"""
SELECT DISTINCT o.oprname::text FROM pg_catalog.pg_operator AS o
JOIN pg_catalog.pg_proc AS p ON p.oid = o.oprcode
WHERE p.pronamespace <> 'pg_catalog'::regnamespace
  AND NOT {_BELIEVED.format(of="pg_operator", oid="o.oid")}
"""

_FUNCTIONS = f"""
SELECT DISTINCT upper(p.proname::text) FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace <> 'pg_catalog'::regnamespace
  AND upper(p.proname::text) IN ({", ".join(f"'{name}'" for name in sorted(HARMLESS))})
  AND NOT {_BELIEVED.format(of="pg_proc", oid="p.oid")}
"""

OWN_TYPE = """
(t.typnamespace <> 'pg_catalog'::regnamespace AND t.typtype NOT IN ('e', 'd') AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_depend AS d
  WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'))
"""
"""Whether a type, `t`, is the app's own: then so are its comparisons. An enumeration's are PostgreSQL's."""

_OF_OPERATORS = frozenset("+-*/<>=~!@#%^&|`?")


class OwnCode:
    """What of a database is the app's own code; asked for once, when a condition is to be tried."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._names: frozenset[str] | None = None

    def is_in(self, term: Term) -> bool:
        """Tell whether a term may run code of the app's own."""
        if self._names is None:
            self._names = frozenset(
                str(row[0]) for query in (_OPERATORS, _FUNCTIONS) for row in self._ask(query)
            )
        return bool(self._names and self._names & _names_in(term.text))


def _names_in(text: str) -> set[str]:
    """Return the operators and the words of a condition."""
    found: set[str] = set()
    run, end = "", -1
    for token in tokens_of(text):
        if set(token.text) <= _OF_OPERATORS:
            run = run + token.text if token.start == end else token.text
            end = token.end
            found.add(run)
        else:
            run = ""
            found.add(token.word)
    return found - {""}
