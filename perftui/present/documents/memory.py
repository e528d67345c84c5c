"""What grows in a worker's memory, as text and as the document that scripts read."""

from __future__ import annotations

from typing import Any

from perftui.model.growth import grown_lines, place_of, process_grew
from perftui.model.text import clean_text
from perftui.present.text.cells import fit, fit_middle
from perftui.present.text.units import count, signed_size, size
from perftui_agent.wire.actions import Memory

MOST_LINES = 20
MOST_TYPES = 12


def memory_document(memory: Memory) -> dict[str, Any]:
    """Return the document; CONTRACT names its keys."""
    return {
        "pid": memory.pid,
        "for_s": round(memory.watched_ns / 1e9, 3),
        "traced_bytes": memory.traced_bytes,
        "rss_grew_bytes": process_grew(memory),
        "lines": [
            {
                "where": place_of(line),
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


def memory_text(memory: Memory, width: int) -> list[str]:
    """Return the lines: what grew by line with the routes behind it, then by type."""
    grew = process_grew(memory)
    seconds = memory.watched_ns / 1e9
    process = "" if grew is None else f" · the process by {signed_size(grew)}"
    lines = [f"worker {memory.pid} · {seconds:.0f} s{process}"]
    if memory.note:
        lines.append(clean_text(memory.note))
    told = grown_lines(memory)
    if not told:
        return [*lines, "no line of Python holds more than before"]
    lines += ["", f"{'GREW':>9} {'A SECOND':>10} {'BLOCKS':>8}  LINE"]
    for line in told[:MOST_LINES]:
        rate = size(line.grew_bytes / max(seconds, 1e-9))
        head = f"{size(line.grew_bytes):>9} {rate:>10} {count(line.count):>8}"
        lines.append(f"{head}  {fit_middle(place_of(line), max(width - 31, 20))}")
        for route, grown in sorted(line.routes.items(), key=lambda item: -item[1])[:3]:
            lines.append(f"{'':31}{size(grown)} for {fit(clean_text(route), max(width - 45, 20)).rstrip()}")
    if memory.types:
        lines += ["", f"{'MORE':>9} {'NOW':>10}  TYPE"]
        lines += [
            f"{count(each.grew):>9} {count(each.now):>10}  {clean_text(each.type)}"
            for each in memory.types[:MOST_TYPES]
        ]
    return [line.rstrip() for line in lines]
