"""What grows in a worker's memory, as text and as the document that scripts read."""

from __future__ import annotations

from typing import Any

from perftui.model.text import clean_text
from perftui.present.text.cells import fit, fit_middle
from perftui.present.text.units import count, size
from perftui_agent.wire.actions import GrownLine, Memory

MOST_LINES = 20
MOST_TYPES = 12


def memory_document(memory: Memory) -> dict[str, Any]:
    """Return the document; CONTRACT names its keys."""
    return {
        "pid": memory.pid,
        "for_s": round(memory.watched_ns / 1e9, 3),
        "traced_bytes": memory.traced_bytes,
        "rss_grew_bytes": rss_grew(memory),
        "lines": [
            {
                "where": _where(line),
                "grew_bytes": line.grew_bytes,
                "count": line.count,
                "routes": line.routes,
            }
            for line in memory.lines
        ],
        "lines_cut": memory.lines_cut,
        "types": [{"type": each.type, "grew": each.grew, "now": each.now} for each in memory.types],
        "note": memory.note or None,
    }


def rss_grew(memory: Memory) -> int | None:
    """Return by how much the whole process has grown; None where the system does not tell."""
    if memory.rss_before is None or memory.rss_after is None:
        return None
    return memory.rss_after - memory.rss_before


def memory_text(memory: Memory, width: int) -> list[str]:
    """Return the lines: what grew by line with the routes behind it, then by type."""
    grew = rss_grew(memory)
    seconds = memory.watched_ns / 1e9
    process = "" if grew is None else f" · the process by {_signed(grew)}"
    lines = [f"worker {memory.pid} · {seconds:.0f} s{process}"]
    if memory.note:
        lines.append(clean_text(memory.note))
    if not memory.lines:
        return [*lines, "no line of Python holds more than before"]
    lines += ["", f"{'GREW':>9} {'A SECOND':>10} {'BLOCKS':>8}  LINE"]
    for line in memory.lines[:MOST_LINES]:
        rate = size(line.grew_bytes / max(seconds, 1e-9))
        head = f"{size(line.grew_bytes):>9} {rate:>10} {count(line.count):>8}"
        lines.append(f"{head}  {fit_middle(_where(line), max(width - 31, 20))}")
        for route, grown in sorted(line.routes.items(), key=lambda item: -item[1])[:3]:
            lines.append(f"{'':31}{size(grown)} for {fit(clean_text(route), max(width - 45, 20)).rstrip()}")
    if memory.types:
        lines += ["", f"{'MORE':>9} {'NOW':>10}  TYPE"]
        lines += [
            f"{count(each.grew):>9} {count(each.now):>10}  {clean_text(each.type)}"
            for each in memory.types[:MOST_TYPES]
        ]
    return [line.rstrip() for line in lines]


def _signed(number: int) -> str:
    return f"{'-' if number < 0 else '+'}{size(abs(number))}"


def _where(line: GrownLine) -> str:
    return clean_text(f"{line.short_file or line.file}:{line.line}")
