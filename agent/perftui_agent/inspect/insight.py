"""What a worker alone can tell of itself for its dump: whom each thread serves, its tasks, and variables.

Takes who knows the app's loop and requests; looks before others look from outside, and after them; gives the
parts of a `Dump` that nobody else could give.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec

from perftui_agent.foreign_frames import current_frames, stack_of
from perftui_agent.inspect.serving import LoopEyes, Service, name_of, serving, steadily, told
from perftui_agent.inspect.source import Lines
from perftui_agent.inspect.spy_output import SpyFrame
from perftui_agent.inspect.stacks import cut_stack, stack_frame
from perftui_agent.inspect.tasks import Group, Tasks, Waiting, routes_of, waiting_tasks
from perftui_agent.inspect.text import printable
from perftui_agent.inspect.variables import Place, locals_of, wanted
from perftui_agent.wire.dumps import FrameLocals, WaitingTasks

MAX_GROUPS = 200

MAX_FRAMES = 80
"""Of a task's way in, which is a server's and some middleware's for the most part."""

MAX_DEPTH = 1000

_NAME, _ROUTE, _PLACE = 200, 300, 300


class Insight(msgspec.Struct, eq=False):
    """What has been seen from inside."""

    services: dict[int, Service] = {}
    tasks: Tasks | None = None
    stacks: list[tuple[Group, list[SpyFrame], int]] = []
    """Groups of tasks, their frames innermost first, and how many are left out."""
    locals: list[FrameLocals] = []
    locals_cut: int = 0


class Inside:
    """Looks at this process from inside, around a look from outside."""

    def __init__(self, eyes: LoopEyes, variables_of: str = "") -> None:
        self._eyes = eyes
        self._variables_of = variables_of
        self._before = serving(eyes)

    async def look(self) -> Insight:
        """Return what is so now, and was so when this began."""
        served = steadily(self._before, serving(self._eyes))
        insight = Insight()
        if self._variables_of:
            # First of all: they change while a thousand tasks are walked.
            places = self._places(told(self._eyes, served, {}))
            insight.locals, insight.locals_cut = locals_of(places, wanted(self._variables_of))
        tasks = insight.tasks = await waiting_tasks(self._eyes)
        insight.services = told(self._eyes, served, tasks.of_thread if tasks is not None else {})
        if tasks is None:
            return insight
        insight.stacks = [(group, *_frames_of(group.first)) for group in tasks.groups[:MAX_GROUPS]]
        if self._variables_of:
            places = (
                Place(frame, name_of(each.task), self._eyes.route_of(each.request) if each.request else "")
                for each in tasks.seen
                for frame in reversed(each.frames)
            )
            more, cut = locals_of(places, wanted(self._variables_of))
            insight.locals, insight.locals_cut = [*insight.locals, *more], insight.locals_cut + cut
        return insight

    def _places(self, services: dict[int, Service]) -> Iterator[Place]:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, innermost in current_frames().items():
            route = services.get(ident, Service()).route
            for frame in stack_of(innermost, MAX_DEPTH):
                yield Place(frame, names.get(ident) or f"thread {ident}", route)

    def told_tasks(self, insight: Insight, lines: Lines) -> list[WaitingTasks] | None:
        """Return the tasks as the wire carries them; None where there is no loop."""
        if insight.tasks is None:
            return None
        return [self._told(group, frames, cut, lines) for group, frames, cut in insight.stacks]

    def _told(self, group: Group, frames: list[SpyFrame], cut: int, lines: Lines) -> WaitingTasks:
        routes, oldest_ns = routes_of(self._eyes, group)
        return WaitingTasks(
            frames=[stack_frame(frame, lines) for frame in frames],
            frames_cut=cut,
            count=group.count,
            waits_for=printable(group.first.waits_for, _NAME),
            names=[printable(name, _NAME) for name in group.names],
            routes={printable(route, _ROUTE): count for route, count in routes.items()},
            oldest_ns=oldest_ns,
            awaits={printable(place, _PLACE): count for place, count in group.awaits.most_common(5)},
        )


def _frames_of(waiting: Waiting) -> tuple[list[SpyFrame], int]:
    frames = [
        SpyFrame(frame.f_code.co_qualname, frame.f_code.co_filename, line)
        for frame, line in zip(waiting.frames, waiting.lines, strict=True)
    ]
    return cut_stack(frames[::-1], MAX_FRAMES)
