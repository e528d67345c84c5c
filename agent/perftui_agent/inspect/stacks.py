"""Stacks in the shape of a dump: bounded, cleaned, in the order one reads them.

Takes threads as py-spy gives them, or this process's own frames; gives `ThreadDump`s.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import CodeType

import msgspec

from perftui_agent.foreign_frames import current_frames, stack_of
from perftui_agent.inspect.serving import Service
from perftui_agent.inspect.source import Lines
from perftui_agent.inspect.spy_output import SpyFrame, SpyThread
from perftui_agent.inspect.text import printable
from perftui_agent.places import short_file
from perftui_agent.wire.codec import encode
from perftui_agent.wire.dumps import Dump, StackFrame, ThreadDump
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES
from perftui_agent.wire.stacks_on_signal import Written

MAX_THREADS = 500
MAX_FRAMES = 200
"""Of one thread."""

MAX_FRAMES_IN_ALL = 12_000
"""About 3 MB on the wire: 60 threads as deep as a thread may be, 500 of 24 frames each."""

_MAX_WALKED = 5000
_NAME, _FUNCTION, _FILE, _ROUTE = 100, 200, 500, 300
"""Characters of a thread's name, a function's, a path and a route."""


class Stack(msgspec.Struct, frozen=True):
    """A thread and the frames of it that are kept."""

    thread: SpyThread
    frames: list[SpyFrame]
    cut: int


def own_threads(stacks: Mapping[int, Sequence[tuple[CodeType, int]]] | None = None) -> list[SpyThread]:
    """Return the stacks of every Python thread of this process, as it sees itself (6 µs and no pause).

    `stacks`: what they were before, by thread and innermost first, instead of what they are now. Whether a
    thread runs and who holds the GIL can't be told from inside: the GIL is always ours.
    """
    known = {thread.ident: thread for thread in threading.enumerate()}
    main = threading.main_thread().ident
    pid = os.getpid()
    threads = []
    if stacks is None:
        stacks = {
            ident: [(f.f_code, f.f_lineno or 0) for f in stack_of(frame, _MAX_WALKED)]
            for ident, frame in current_frames().items()
        }
        stacks[threading.get_ident()] = [
            (f.f_code, f.f_lineno or 0) for f in stack_of(sys._getframe(), _MAX_WALKED)
        ]
    for ident, stack in stacks.items():
        thread = known.get(ident)
        native = pid if ident == main else (thread.native_id if thread else None)
        frames = [
            SpyFrame(code.co_qualname, code.co_filename, line or code.co_firstlineno) for code, line in stack
        ]
        threads.append(
            SpyThread(pid, ident, frames, thread_name=thread.name if thread else None, os_thread_id=native)
        )
    return threads


def signalled_threads(pid: int, written: Written) -> list[SpyThread]:
    """Return the threads that a process has written of itself on a signal."""
    return [
        SpyThread(
            pid,
            thread.thread_id,
            [SpyFrame(*frame) for frame in thread.frames],
            thread_name=thread.name or ("MainThread" if thread.is_main else None),
            os_thread_id=pid if thread.is_main else None,
        )
        for thread in written.threads
    ]


def kept(threads: Sequence[SpyThread]) -> list[Stack]:
    """Return the stacks that fit the bounds, those that matter first.

    The main thread, then the one that holds the GIL, then those that run, then the oldest.
    """
    oldest_first = threads[::-1]
    order = sorted(oldest_first, key=lambda one: (not one.is_main, not one.owns_gil, not one.active))
    order = order[:MAX_THREADS]
    depth = max(20, min(MAX_FRAMES, MAX_FRAMES_IN_ALL // max(1, len(order))))
    return [_stack(thread, depth) for thread in order]


def _stack(thread: SpyThread, depth: int) -> Stack:
    frames = [frame for frame in thread.frames if not frame.is_shim]
    return Stack(thread, *cut_stack(frames, depth))


def cut_stack(frames: list[SpyFrame], depth: int) -> tuple[list[SpyFrame], int]:
    """Return the frames of a stack that are kept, and how many are left out between them."""
    cut = max(0, len(frames) - depth)
    # Where it is now and how it got into the recursion; the turns between them are alike.
    inner = depth - depth // 4
    return (frames[:inner] + frames[inner + cut :] if cut else frames), cut


def wanted_lines(stacks: Iterable[Iterable[SpyFrame]]) -> dict[str, set[int]]:
    """Return the lines of code that the frames are at, by file."""
    wanted: dict[str, set[int]] = {}
    for frames in stacks:
        for frame in frames:
            wanted.setdefault(frame.filename, set()).add(frame.line)
    return wanted


def thread_dumps(
    stacks: Sequence[Stack], lines: Lines, services: Mapping[int, Service] | None = None
) -> list[ThreadDump]:
    """Return the threads as the wire carries them, frames innermost first, each with what it serves."""
    services = services or {}
    return [_thread_dump(stack, lines, services.get(stack.thread.thread_id, Service())) for stack in stacks]


def _thread_dump(stack: Stack, lines: Lines, service: Service) -> ThreadDump:
    return ThreadDump(
        name=None if stack.thread.thread_name is None else printable(stack.thread.thread_name, _NAME),
        thread_id=stack.thread.thread_id,
        os_thread_id=stack.thread.os_thread_id,
        active=stack.thread.active,
        holds_gil=stack.thread.owns_gil,
        is_main=stack.thread.is_main,
        frames=[stack_frame(frame, lines) for frame in stack.frames],
        frames_cut=stack.cut,
        route=printable(service.route, _ROUTE),
        age_ns=service.age_ns,
        task=printable(service.task, _NAME),
    )


def stack_frame(frame: SpyFrame, lines: Lines) -> StackFrame:
    """Return a frame as the wire carries it, with its line of code if that could be read."""
    file = printable(frame.filename, _FILE)
    return StackFrame(
        function=printable(frame.name, _FUNCTION),
        file=file,
        line=frame.line,
        short_file=short_file(file),
        source=lines.get((frame.filename, frame.line), ""),
    )


def fitted(dump: Dump, limit: int = MAX_MESSAGE_BYTES) -> Dump:
    """Return `dump`, less its lines of code and then its last tasks and threads if it is over `limit` bytes.

    12,000 ordinary frames take 3 MB; only text of nothing but long names comes to this.
    """
    if len(encode(dump)) <= limit:
        return dump
    replace = msgspec.structs.replace
    threads = [replace(thread, frames=_without_source(thread.frames)) for thread in dump.threads]
    tasks = [replace(each, frames=_without_source(each.frames)) for each in dump.tasks or ()]
    dump = replace(dump, threads=threads, tasks=tasks if dump.tasks is not None else None)
    while len(encode(dump)) > limit and dump.tasks:
        left = len(dump.tasks) // 2
        cut = dump.tasks_cut + sum(each.count for each in dump.tasks[left:])
        dump = replace(dump, tasks=dump.tasks[:left], tasks_cut=cut)
    while len(encode(dump)) > limit and dump.threads:
        left = len(dump.threads) // 2
        cut = dump.threads_cut + len(dump.threads) - left
        dump = replace(dump, threads=dump.threads[:left], threads_cut=cut)
    return dump


def _without_source(frames: list[StackFrame]) -> list[StackFrame]:
    return [msgspec.structs.replace(frame, source="") for frame in frames]
