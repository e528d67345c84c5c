"""SQL for people: short enough for a line, or whole in as many lines as it takes."""

from __future__ import annotations

import re
from functools import lru_cache

from rich.cells import cell_len

from perftui.present.text.cells import clean, shortened

_COLUMNS = re.compile(r"\bSELECT\b.{12,}?\bFROM\b", re.DOTALL)
_INSERT = re.compile(r"\b(INSERT INTO \S+) \([^()]{12,}\)")
_TABLE = re.compile(r"\b(?:FROM|JOIN) (\w+)")
_CLAUSE = re.compile(
    r" (?=(?:FROM|WHERE|AND|OR|(?:LEFT |INNER |OUTER |CROSS )*JOIN|GROUP BY|HAVING|ORDER BY|LIMIT|VALUES|SET"
    r"|RETURNING|UNION)\b)"
)


@lru_cache(2048)
def brief(statement: str) -> str:
    """Return a statement without its columns: what it reads from and by what tells more."""
    text = clean(statement)
    text = _COLUMNS.sub("SELECT … FROM", text)
    return _INSERT.sub(r"\1 (…)", text)


@lru_cache(2048)
def terse(statement: str, width: int) -> str:
    """Return a statement in at most `width` cells: its first table and the end of its last clause."""
    text = brief(statement)
    tables = set(_TABLE.findall(text))
    if len(tables) == 1:
        text = text.replace(f"{tables.pop()}.", "")
    if cell_len(text) <= width or width < 30:
        return shortened(text, width) if width < 30 else text
    tail = width // 3
    return f"{shortened(text[:-tail], width - tail - 1).rstrip(' …')}…{text[-tail:]}"[:width]


def whole(statement: str, width: int) -> list[str]:
    """Return all of a statement, a line for each clause, wrapped where one is too long."""
    lines: list[str] = []
    for number, clause in enumerate(_CLAUSE.split(clean(statement))):
        pad = "  " if number else ""
        lines += [pad + line for line in wrapped(clause, max(width - len(pad), 10))]
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """Return text in lines of at most `width` cells, cut between words where there are any."""
    lines: list[str] = []
    rest = text.strip()
    while cell_len(rest) > width:
        most = len(rest)
        while cell_len(rest[:most]) > width:
            most -= max((cell_len(rest[:most]) - width) // 2, 1)
        cut = rest.rfind(" ", 0, most + 1)
        cut = cut if cut > most // 3 else most
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*lines, rest] if rest or not lines else lines
