"""A dump as JSON: what `perftui dump --json` prints for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perftui.present.details.alike import AlikeTasks, AlikeThreads, tasks_alike, threads_alike
from perftui.present.details.threads import SeenThread, seen_in
from perftui.present.documents.rows.units import moment
from perftui_agent.wire.dumps import Dump, FrameLocals, StackFrame, WaitingTasks


def dump_document(target: str, dump: Dump) -> dict[str, Any]:
    """Return one worker's dump."""
    return {
        "target": target,
        "worker": dump.pid,
        "at": moment(dump.taken_at / 1e9),
        "took_ms": round(dump.took_ns / 1e6, 3),
        "taken_by": dump.taken_by or None,
        "method": dump.method,
        "note": dump.note or None,
        "threads_cut": dump.threads_cut,
        "threads": [_thread(thread) for thread in seen_in(dump)],
        "tasks_count": dump.tasks_count if dump.tasks is not None else None,
        "tasks_cut": dump.tasks_cut,
        "tasks_of_agent": dump.tasks_of_agent,
        "tasks": None if dump.tasks is None else [_tasks(tasks) for tasks in dump.tasks],
        "locals_of": dump.locals_of or None,
        "locals_cut": dump.locals_cut,
        "locals": [_locals(each) for each in dump.locals],
    }


def alike_document(dumps: Sequence[Dump]) -> dict[str, Any]:
    """Return what is the same in several workers, once, the most important first."""
    return {
        "threads": [_alike_threads(threads) for threads in threads_alike(dumps)],
        "tasks": [_alike_tasks(tasks) for tasks in tasks_alike(dumps)],
    }


def _thread(seen: SeenThread) -> dict[str, Any]:
    thread = seen.thread
    return {
        "name": thread.name,
        "thread_id": thread.thread_id,
        "os_thread_id": thread.os_thread_id,
        "active": seen.active,
        "holds_gil": seen.holds_gil,
        "is_main": thread.is_main,
        "route": thread.route or None,
        "age_ms": _ms(thread.age_ns),
        "task": thread.task or None,
        "frames_cut": thread.frames_cut,
        "frames": [_frame(frame) for frame in thread.frames],
    }


def _tasks(tasks: WaitingTasks) -> dict[str, Any]:
    return {
        "count": tasks.count,
        "waits_for": tasks.waits_for or None,
        "names": tasks.names,
        "routes": tasks.routes,
        "oldest_ms": _ms(tasks.oldest_ns),
        "awaits": tasks.awaits,
        "frames_cut": tasks.frames_cut,
        "frames": [_frame(frame) for frame in tasks.frames],
    }


def _locals(variables: FrameLocals) -> dict[str, Any]:
    return {
        "function": variables.function,
        "file": variables.file,
        "short_file": variables.short_file or None,
        "line": variables.line,
        "in": variables.at,
        "route": variables.route or None,
        "values_cut": variables.values_cut,
        "values": variables.values,
    }


def _alike_threads(threads: AlikeThreads) -> dict[str, Any]:
    return {
        "name": threads.name,
        "threads": [{"worker": pid, "thread_id": seen.thread.thread_id} for pid, seen in threads.members],
        "frames": [_place(frame) for frame in threads.first.frames],
    }


def _alike_tasks(tasks: AlikeTasks) -> dict[str, Any]:
    return {
        "count": tasks.count,
        "waits_for": tasks.first.waits_for or None,
        "workers": list(tasks.workers),
        "frames": [_place(frame) for frame in tasks.first.frames],
    }


def _frame(frame: StackFrame) -> dict[str, Any]:
    return {
        "function": frame.function,
        "file": frame.file,
        "short_file": frame.short_file or None,
        "line": frame.line,
        "source": frame.source or None,
    }


def _place(frame: StackFrame) -> str:
    return f"{frame.short_file or frame.file}:{frame.line} {frame.function}"


def _ms(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)
