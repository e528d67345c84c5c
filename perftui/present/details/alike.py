"""What is the same in several threads, tasks or workers, told once.

Takes the dumps of one worker or of many; gives stacks with everybody who is in them, those that matter first.
Two stacks are the same if each frame is at the same line of the same function.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from perftui.present.details.threads import SeenThread, is_own, seen_in
from perftui.present.text.units import ms
from perftui.record import Record
from perftui_agent.wire.dumps import Dump, FrameLocals, StackFrame, WaitingTasks

T = TypeVar("T")

_NUMBERED = re.compile(r"[\s_-]*\d[\d_-]*$")
"""What tells the threads of one pool apart."""

MAX_ROUTES = 3
"""Told of by name."""


class AlikeThreads(Record, frozen=True):
    """Threads that are at the same place by the same way."""

    first: SeenThread
    """The one that matters most."""
    members: tuple[tuple[int, SeenThread], ...]
    """Each with the pid of its worker."""

    @property
    def workers(self) -> tuple[int, ...]:
        """The pids of their workers."""
        return tuple(dict.fromkeys(pid for pid, _ in self.members))

    @property
    def name(self) -> str:
        """What they are called together: `AnyIO worker thread × 3`."""
        if len(self.members) == 1:
            return self.first.name
        return f"{kind_of(self.first) if self.first.thread.name else 'threads'} × {len(self.members)}"

    @property
    def serving(self) -> str:
        """Which requests they work for, how long under way: `GET /reports for 1.9s`; empty for none."""
        threads = [seen.thread for _, seen in self.members if seen.thread.route]
        ages = [each.age_ns for each in threads if each.age_ns is not None]
        return routes_told(Counter(each.route for each in threads), max(ages, default=None))

    @property
    def tasks(self) -> str:
        """The task that runs in it, or waits for it."""
        tasks = list(dict.fromkeys(seen.thread.task for _, seen in self.members if seen.thread.task))
        return tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks" if tasks else ""


class AlikeTasks(Record, frozen=True):
    """Tasks that wait at the same place by the same way."""

    first: WaitingTasks
    members: tuple[tuple[int, WaitingTasks], ...]
    """Each worker's, with its pid."""

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(each.count for _, each in self.members)

    @property
    def workers(self) -> tuple[int, ...]:
        """The pids of their workers."""
        return tuple(dict.fromkeys(pid for pid, _ in self.members))

    @property
    def place(self) -> StackFrame | None:
        """Where they wait: in the service's own code, if they are in any."""
        frames = self.first.frames
        return next(filter(is_own, frames), frames[0] if frames else None)

    @property
    def is_own(self) -> bool:
        """Whether they wait in the service's own code."""
        return any(map(is_own, self.first.frames))

    @property
    def inside(self) -> str:
        """What they wait in, from their own line on: `QueuePool._do_get › Queue.get`."""
        frames = self.first.frames
        own = next((at for at, frame in enumerate(frames) if is_own(frame)), 0)
        names = list(dict.fromkeys(frame.function.rpartition("<locals>.")[2] for frame in frames[:own][::-1]))
        # The first says what was asked for, the last what it comes down to.
        shown = names if len(names) <= 3 else [names[0], *names[-2:]]
        if self.first.waits_for and self.first.waits_for not in shown:
            shown = [*shown, self.first.waits_for]
        return " › ".join(shown)

    @property
    def serving(self) -> str:
        """For which requests, how long under way."""
        routes: Counter[str] = Counter()
        for _, each in self.members:
            routes.update(each.routes)
        ages = [each.oldest_ns for _, each in self.members if each.oldest_ns is not None]
        return routes_told(routes, max(ages, default=None))

    @property
    def awaits(self) -> str:
        """Where those tasks wait that these wait for."""
        places: Counter[str] = Counter()
        for _, each in self.members:
            places.update(each.awaits)
        return ", ".join(
            f"{times} × {place}" if times > 1 else place for place, times in places.most_common(3)
        )


def threads_alike(dumps: Sequence[Dump]) -> list[AlikeThreads]:
    """Return the threads that do something, those alike as one, the most important first."""
    seen = [(dump.pid, thread) for dump in dumps for thread in seen_in(dump) if not thread.is_idle]
    seen.sort(key=lambda each: each[1].importance)
    return [AlikeThreads(group[0][1], tuple(group)) for group in _grouped(seen, _stack_key)]


def idle_alike(dumps: Sequence[Dump]) -> list[AlikeThreads]:
    """Return the threads that have nothing to do, by what they are called."""
    seen = [(dump.pid, thread) for dump in dumps for thread in seen_in(dump) if thread.is_idle]
    seen.sort(key=lambda each: kind_of(each[1]))
    return [AlikeThreads(group[0][1], tuple(group)) for group in _grouped(seen, kind_of)]


def tasks_alike(dumps: Sequence[Dump]) -> list[AlikeTasks]:
    """Return what tasks wait for: in the service's own code first, then the most."""
    told = [(dump.pid, tasks) for dump in dumps for tasks in dump.tasks or ()]
    groups = [AlikeTasks(group[0][1], tuple(group)) for group in _grouped(told, _tasks_key)]
    return sorted(groups, key=lambda group: (not group.is_own, -group.count))


def tasks_count(dumps: Sequence[Dump]) -> int:
    """Return how many tasks wait."""
    return sum(dump.tasks_count for dump in dumps)


def locals_in(dumps: Sequence[Dump]) -> list[tuple[int, FrameLocals]]:
    """Return the variables that were asked for, with the pid of their worker."""
    return [(dump.pid, each) for dump in dumps for each in dump.locals]


def kind_of(thread: SeenThread) -> str:
    """Return what threads of one pool are called together."""
    name = thread.thread.name
    return _NUMBERED.sub("", name).removesuffix(" thread") if name else "thread"


def routes_told(routes: Counter[str], oldest_ns: int | None) -> str:
    """Return routes with how many requests of each, and how long the oldest is under way."""
    if not routes:
        return ""
    named = [f"{route} × {times}" if times > 1 else route for route, times in routes.most_common(MAX_ROUTES)]
    more = f", {len(routes) - MAX_ROUTES} routes more" if len(routes) > MAX_ROUTES else ""
    told = ", ".join(named) + more
    if oldest_ns is None:
        return told
    return f"{told}{', up to' if routes.total() > 1 else ' for'} {ms(oldest_ns / 1e6)}"


def _grouped(seen: Iterable[tuple[int, T]], key: Callable[[T], Hashable]) -> list[list[tuple[int, T]]]:
    groups: dict[Hashable, list[tuple[int, T]]] = {}
    for pid, each in seen:
        groups.setdefault(key(each), []).append((pid, each))
    return list(groups.values())


def _stack_key(thread: SeenThread) -> Hashable:
    return kind_of(thread), thread.thread.frames_cut, *map(_frame_key, thread.frames)


def _tasks_key(tasks: WaitingTasks) -> Hashable:
    return tasks.waits_for, tasks.frames_cut, *map(_frame_key, tasks.frames)


def _frame_key(frame: StackFrame) -> Hashable:
    return frame.function, frame.file, frame.line
