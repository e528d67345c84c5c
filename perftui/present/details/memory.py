"""What grows in a worker's memory, as a screen: by line with the routes behind it, then by type."""

from __future__ import annotations

from perftui.model.growth import grown_lines, place_of, process_grew
from perftui.present.charts.drawing import bar
from perftui.present.text.blocks import section
from perftui.present.text.cells import BLANK, Cell, Line, clean, fit, fit_line, fit_middle
from perftui.present.text.units import count, signed_size, size
from perftui_agent.wire.actions import GrownLine, Memory, Progress
from perftui_agent.wire.dumps import Refusal

BAR = 12


def memory_lines(memory: Memory, width: int) -> list[Line]:
    """Return all lines of the screen."""
    seconds = max(memory.watched_ns / 1e9, 1e-9)
    grew = process_grew(memory)
    lines: list[Line] = []
    if memory.note:
        lines.append(fit_line((Cell(f"  {clean(memory.note)}", "medium"),), width))
    process = "" if grew is None else f"the process {signed_size(grew)} in {seconds:.0f} s"
    lines.append(section("GREW, BY LINE", width, process))
    grown = grown_lines(memory)
    if not grown:
        lines.append((Cell("  no line of Python holds more than before", "good"),))
    most = max((line.grew_bytes for line in grown), default=1)
    for line in grown:
        lines += _grown(line, seconds, most, width)
    if memory.types:
        lines += [BLANK, section("MORE OBJECTS, BY TYPE", width, "more, now")]
        lines += [
            (
                Cell(fit(f"+{count(each.grew)}", 10, "right"), "bright"),
                Cell(fit(count(each.now), 12, "right"), "dim"),
                Cell("  "),
                Cell(fit(clean(each.type), max(width - 26, 8))),
            )
            for each in memory.types
        ]
    return lines


def waiting_lines(progress: Progress | None, left_s: float, width: int) -> list[Line]:
    """Return what there is to say while it is being watched."""
    so_far = f"  {clean(progress.text)}" if progress is not None else ""
    told = f"watching what grows … {left_s:.0f} s left{so_far}"
    return [
        BLANK,
        fit_line((Cell("  ○ ", "medium"), Cell(told, "text")), width),
        fit_line((Cell("    each allocation is noted meanwhile: the worker is slower", "dim"),), width),
    ]


def refused_lines(refusal: Refusal, width: int) -> list[Line]:
    """Return why it can't be told, and the mend."""
    reason = fit_line((Cell("  ✗ ", "high"), Cell(clean(refusal.reason), "bright")), width)
    return [BLANK, reason, fit_line((Cell(f"    {clean(refusal.advice)}", "label"),), width)]


def _grown(line: GrownLine, seconds: float, most: int, width: int) -> list[Line]:
    room = max(width - 34 - BAR, 8)
    lines: list[Line] = [
        (
            Cell(fit(signed_size(line.grew_bytes), 10, "right"), "bright"),
            Cell(fit(f"{size(line.grew_bytes / seconds)}/s", 11, "right"), "text"),
            Cell(fit(f"{count(line.count)}×", 9, "right"), "dim"),
            Cell("  "),
            Cell(fit(fit_middle(place_of(line), room), room), "place"),
            Cell("  "),
            Cell(bar(line.grew_bytes / most, BAR), "chart"),
        )
    ]
    for route, grown in sorted(line.routes.items(), key=lambda item: -item[1])[:3]:
        told = f"{size(grown)} for {clean(route)}"
        lines.append(fit_line((Cell(" " * 32), Cell(told, "label")), width))
    return lines
