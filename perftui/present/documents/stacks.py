"""A dump as plain text: what `perftui dump` prints for people.

Who holds the GIL or runs the service's own code comes first and in full; threads that wait in a library
for something to do are told in one line per kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from perftui.present.details.dump import is_own
from perftui.present.documents.snapshot import moment
from perftui.present.text.units import ms
from perftui_agent.wire.frames import Dump, StackFrame, ThreadDump

_NUMBERED = re.compile(r"[\s_-]*\d[\d_-]*$")
"""What tells the threads of one pool apart."""

_IDLE_CALLS = frozenset({"wait", "get", "_worker", "acquire", "select", "poll", "epoll", "accept", "sleep"})


def stacks(dump: Dump) -> list[str]:
    """Return the lines of a dump."""
    by = "" if dump.taken_by == dump.pid else f" by its sibling {dump.taken_by}"
    lines = [
        f"worker {dump.pid} · {moment(dump.taken_at / 1e9)} · {dump.method}{by} in {ms(dump.took_ns / 1e6)}"
    ]
    for thread in sorted((each for each in dump.threads if not _is_idle(each)), key=_importance):
        lines += ["", _heading(thread), *map(_line, thread.frames)]
    idle = sorted((each for each in dump.threads if _is_idle(each)), key=_kind)
    if idle:
        lines += ["", *(_folded(kind, list(threads)) for kind, threads in groupby(idle, key=_kind))]
    return lines


def _importance(thread: ThreadDump) -> tuple[bool, bool, bool, bool, str]:
    own = _runs_own(thread.frames)
    return (not thread.holds_gil, not (own and thread.active), not own, not thread.is_main, thread.name or "")


def _is_idle(thread: ThreadDump) -> bool:
    if thread.holds_gil or thread.is_main or _runs_own(thread.frames):
        return False
    return not thread.active or (bool(thread.frames) and thread.frames[0].function in _IDLE_CALLS)


def _runs_own(frames: Iterable[StackFrame]) -> bool:
    return any(map(_is_own, frames))


def _is_own(frame: StackFrame) -> bool:
    """Tell whether a frame runs the service's own code; ours is not, wherever it is installed."""
    return is_own(frame) and "perftui_agent" not in frame.file


def _kind(thread: ThreadDump) -> str:
    return _NUMBERED.sub("", thread.name).removesuffix(" thread") if thread.name else "thread"


def _heading(thread: ThreadDump) -> str:
    name = thread.name or f"thread {thread.thread_id}"
    states = ["holds the GIL"] if thread.holds_gil else []
    states += ["running" if thread.active else "waiting"]
    return f"{name} ({', '.join(states)})"


def _line(frame: StackFrame) -> str:
    mark = "→" if _is_own(frame) else " "
    place = f"{frame.short_file or frame.file}:{frame.line}"
    source = f"  {frame.source.strip()}" if frame.source.strip() else ""
    return f"  {mark} {place} {frame.function}{source}"


def _folded(kind: str, threads: list[ThreadDump]) -> str:
    top = threads[0].frames[0] if threads[0].frames else None
    times = f" × {len(threads)}" if len(threads) > 1 else ""
    where = f" in {top.function} at {top.short_file or top.file}:{top.line}" if top else ""
    return f"{kind}{times} idle{where}"
