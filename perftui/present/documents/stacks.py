"""A dump as plain text: what `perftui dump` prints for people.

Who holds the GIL or runs the service's own code comes first and in full; threads that wait in a library
for something to do are told in one line per kind.
"""

from __future__ import annotations

import re
from itertools import groupby

from perftui.present.details.threads import SeenThread, doubts, is_own, seen_in
from perftui.present.documents.snapshot import moment
from perftui.present.text.units import count, ms
from perftui_agent.wire.frames import Dump, StackFrame

_NUMBERED = re.compile(r"[\s_-]*\d[\d_-]*$")
"""What tells the threads of one pool apart."""


def stacks(dump: Dump) -> list[str]:
    """Return the lines of a dump."""
    by = "" if dump.taken_by == dump.pid else f" by its sibling {dump.taken_by}"
    lines = [
        f"worker {dump.pid} · {moment(dump.taken_at / 1e9)} · {dump.method}{by} in {ms(dump.took_ns / 1e6)}"
    ]
    lines += [f"  {doubt}" for doubt in doubts(dump)]
    threads = seen_in(dump)
    for thread in sorted((each for each in threads if not each.is_idle), key=lambda each: each.importance):
        lines += ["", _heading(thread), *_stack(thread)]
    idle = sorted((each for each in threads if each.is_idle), key=_kind)
    if idle:
        lines += ["", *(_folded(kind, list(alike)) for kind, alike in groupby(idle, key=_kind))]
    return lines


def _kind(thread: SeenThread) -> str:
    return _NUMBERED.sub("", thread.thread.name).removesuffix(" thread") if thread.thread.name else "thread"


def _heading(thread: SeenThread) -> str:
    states = ["holds the GIL"] if thread.holds_gil else []
    if thread.active is not None:
        states += ["running" if thread.active else "waiting"]
    return f"{thread.name} ({', '.join(states)})" if states else thread.name


def _stack(thread: SeenThread) -> list[str]:
    lines: list[str] = []
    for stretch in thread.stretches():
        if isinstance(stretch, int):
            lines.append(f"    … {count(stretch)} frames left out …")
        else:
            lines += map(_line, stretch)
    return lines


def _line(frame: StackFrame) -> str:
    mark = "→" if is_own(frame) else " "
    place = f"{frame.short_file or frame.file}:{frame.line}"
    source = f"  {frame.source.strip()}" if frame.source.strip() else ""
    return f"  {mark} {place} {frame.function}{source}"


def _folded(kind: str, threads: list[SeenThread]) -> str:
    top = threads[0].frames[0] if threads[0].frames else None
    times = f" × {len(threads)}" if len(threads) > 1 else ""
    where = f" in {top.function} at {top.short_file or top.file}:{top.line}" if top else ""
    return f"{kind}{times} idle{where}"
