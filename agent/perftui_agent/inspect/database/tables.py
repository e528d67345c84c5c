"""Which tables a statement uses, as far as its text tells: names after FROM, JOIN, INTO and UPDATE."""

from __future__ import annotations

import re

_NAME = r'(?:"[^"]+"|`[^`]+`|\[[^\]]+\]|[^\W\d][\w$]*)'

_TABLE = rf"{_NAME}(?:\s*\.\s*{_NAME}){{0,2}}"

_USES = re.compile(
    rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?({_TABLE}(?:\s+(?:AS\s+)?{_NAME})?"
    rf"(?:\s*,\s*{_TABLE}(?:\s+(?:AS\s+)?{_NAME})?)*)",
    re.IGNORECASE,
)

_NO_TABLES = frozenset({"select", "lateral", "only", "unnest", "values", "set", "as", "if", "not", "exists"})

MOST = 100


def tables_of(statement: str) -> list[str]:
    """Return the names of tables, without quotes and schemas, in the order in which they come."""
    found: dict[str, None] = {}
    for listed in _USES.findall(statement):
        for one in listed.split(","):
            table = re.match(_TABLE, one.strip())
            if table is None:
                continue
            name = re.findall(_NAME, table[0])[-1].strip('"`[]')
            if name.lower() not in _NO_TABLES and len(found) < MOST:
                found[name] = None
    return list(found)
