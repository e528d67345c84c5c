"""What of a worker's growth is worth telling."""

from __future__ import annotations

from perftui.model.text import clean_text
from perftui_agent.wire.actions import GrownLine, Memory

LEAST_BYTES = 4096
LEAST_SHARE = 0.005
"""Of what the line holds that grew most: less is no leak."""


def grown_lines(memory: Memory) -> list[GrownLine]:
    """Return the lines that hold more than a trace of what the first one does."""
    most = memory.lines[0].grew_bytes if memory.lines else 0
    return [line for line in memory.lines if line.grew_bytes >= max(LEAST_BYTES, LEAST_SHARE * most)]


def process_grew(memory: Memory) -> int | None:
    """Return by how many bytes the whole process has grown; None where the system does not tell."""
    if memory.rss_before is None or memory.rss_after is None:
        return None
    return memory.rss_after - memory.rss_before


def place_of(line: GrownLine) -> str:
    """Return the line of code as people say it."""
    return clean_text(f"{line.short_file or line.file}:{line.line}")
