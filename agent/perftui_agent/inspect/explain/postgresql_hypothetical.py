"""Asks HypoPG, where it is installed, whether PostgreSQL's planner would go by indexes that are not there."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from perftui_agent.inspect.database.read_only import Ask, AskError
from perftui_agent.inspect.explain.facts import Wanted, first
from perftui_agent.inspect.explain.postgresql_plan import EXPLAIN, root_of, signature_of

HYPOPG = "HypoPG"

_SCHEMA = """
SELECT quote_ident(n.nspname) FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'
"""


def taken_by_planner(
    ask: Ask, text: str, parameters: Any, wanted: Sequence[Wanted]
) -> dict[Wanted, bool] | None:
    """Return of each index that is wanted whether a statement's plan would go by it; None if nobody can say.

    All in one transaction: behind a pooler the next one is another session's, where they are not.
    """
    found = first(ask(_SCHEMA)) if wanted else ()
    if not found:
        return None
    schema = found[0]
    try:
        made = {each: str(first(ask(_hypothetical(schema, each.create)))[1]) for each in wanted}
        used = signature_of(root_of(ask(EXPLAIN + text, parameters)))
        return {each: name in used for each, name in made.items()}
    except (AskError, ValueError, IndexError):
        return None
    finally:
        with contextlib.suppress(AskError):
            ask(f"SELECT {schema}.hypopg_reset()")
        ask.rest()


def _hypothetical(schema: str, create: str) -> str:
    text = create.replace("'", "''")
    return f"SELECT indexrelid::bigint, indexname FROM {schema}.hypopg_create_index('{text}')"
