"""Estimates for which part of the time the GIL is held, and by whom, from looks that cost next to nothing.

The agent's thread wakes at moments of its own, and needs the GIL to go on. If nobody holds it, it has slept
once since it went to sleep; if somebody does, it must sleep again until it gets it, at every switch interval
anew, which the system counts (a wait for a processor is no sleep). So each wake is a look: held or not.
Whoever held it is found where he was, since this is asked before anything lets go of the GIL again.

Who that was is told by what CPU each thread has taken since the last look. A thread that runs while we have
the GIL computes without it, as numpy and hashlib do; it is taken for the holder only if there is no other.
Where several may have been it, they share the look by their CPU. That takes 50 µs and more, with the threads
there are, and is done as often as it costs a thousandth of a core.

The moments are random, and have nothing to do with what the app does nor with whom the thread has had to
wait for: with a look every 50 ms sharp, what the app does every 50 ms would be seen always or never. Those
that were due while it waited for the GIL are held. Ten a second in a process that takes CPU, two in an idle
one: each stands for the pause before it.
"""

from __future__ import annotations

import random
import re
import resource
import sys
import threading
import time
from collections import Counter
from time import perf_counter_ns, thread_time_ns
from types import FrameType
from typing import Protocol

from perftui_agent.foreign_frames import current_frames
from perftui_agent.guard import Guard
from perftui_agent.places import is_stdlib, is_user_code, place_of
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.records import RequestRecord
from perftui_agent.thread_stack import Line, cpu_of, request_in, walked, wants_to_run
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.gil import MAX_HOLDERS, GilHolder, GilStats

MAX_THREADS = 100
"""Threads looked at in one look; anyio's pool has 40."""

MAX_TOLD_APART = 200
"""Threads, functions and routes together, in one second."""

LEAST_CPU_NS = 20_000
"""Since the last look: who took less did not hold it for long."""

BUSY_PAUSE_S = 0.1
IDLE_PAUSE_S = 0.5
"""Between two looks, on average; half as much or as much again by lot."""

BUSY_SHARE = 0.03
"""Of a core: a process that took less in the last second does nothing worth ten looks."""

LONGEST_S = 60.0
"""That the thread is taken to have waited."""

RESTS = 1_000
"""Times that a look for who it was has taken: it is not looked for again so soon."""

ENOUGH = 0.25
"""Of all the suspects' CPU: with less, those that sleep now are not all that may have been it."""

_RUSAGE_THREAD: int | None = getattr(resource, "RUSAGE_THREAD", None)  # on Linux

_NUMBERS = re.compile(r"[-_ ]\d+\b")


class Eyes(Protocol):
    """Who knows the app's loop and the requests: the loop's probe."""

    @property
    def thread_id(self) -> int | None:
        """The thread that the app's loop runs in."""

    def loop_waits(self, frame: FrameType) -> bool:
        """Tell whether the loop waits for events, given its thread's innermost frame."""

    def request_on_loop(self) -> RequestRecord | None:
        """Return the request of the task that runs on the loop."""

    def route_of(self, record: RequestRecord) -> str:
        """Return the route of a request, in flight or ended."""


class _Suspect:
    """A thread that may have held it."""

    __slots__ = ("cpu_ns", "frame", "ident", "name", "native_id", "took_ns")

    def __init__(
        self, ident: int, frame: FrameType, name: str, native_id: int, cpu_ns: int, took_ns: int
    ) -> None:
        self.ident = ident
        self.frame = frame
        self.name = name
        self.native_id = native_id
        self.cpu_ns = cpu_ns
        self.took_ns = took_ns


class GilProbe:
    """Looks, and counts what it has seen; on the agent's thread."""

    name = "gil"

    def __init__(self, eyes: Eyes, guard: Guard) -> None:
        self._eyes = eyes
        self._guard = guard
        self.due_s = float("inf")
        """When the thread is to wake for the next look, by `time.monotonic`."""
        # Not the app's: that may have been seeded.
        self._draw = random.Random().random  # noqa: S311 - no secret
        self._pause_s = IDLE_PAUSE_S
        self._cpu_s = 0.0
        self._looks = 0
        self._over_s = self._held_s = self._held_just_s = 0.0
        self._rests_until_ns = 0
        self._by: dict[tuple[str, str, str], float] = {}
        self._lines: dict[tuple[str, str, str], Counter[str]] = {}
        self._threads: dict[int, tuple[str, int]] = {}
        """By what Python calls them: their names, and their numbers in the system."""
        self._cpu_ns: dict[int, int] = {}

    def attach(self) -> ProbeStatus:
        """Say whether there is a GIL, and a way to see that one waits for it."""
        if _RUSAGE_THREAD is None or cpu_of(threading.get_native_id()) is None:
            return "off: the system does not count a thread's waits"
        # Asked of each Python: one that is built without may be started with it.
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            return "off: this Python runs without"
        self.due_s = time.monotonic()
        return ON

    def detach(self) -> None:
        """There is nothing to take back."""

    def fill(self, frame: Frame) -> None:
        """Add this span's looks; none where it was not looked."""
        looks, by, lines = self._looks, self._by, self._lines
        over_ns, held_ns = round(self._over_s * 1e9), round(self._held_s * 1e9)
        self._looks = 0
        self._over_s = self._held_s = 0.0
        self._by, self._lines = {}, {}
        # Threads come and go, and a number is given again.
        self._threads = {}
        if not held_ns:
            self._cpu_ns = {}
        cpu_s = time.process_time() - time.thread_time()
        used_s, self._cpu_s = cpu_s - self._cpu_s, cpu_s
        busy = held_ns > 0 or used_s > BUSY_SHARE * frame.span_ns / 1e9
        self._pause_s = BUSY_PAUSE_S if busy else IDLE_PAUSE_S
        if looks:
            ordered = sorted(by, key=lambda key: (not key[0], -by[key]))
            told = [_holder(key, by[key], lines.get(key)) for key in ordered[:MAX_HOLDERS]]
            frame.gil = GilStats(looks=looks, over_ns=over_ns, held_ns=min(held_ns, over_ns), by=told)

    def asleep(self) -> int:
        """Return how often this thread has slept, just before it goes to sleep again; 0.6 µs."""
        known = _RUSAGE_THREAD is not None and self.due_s < float("inf")
        return resource.getrusage(_RUSAGE_THREAD).ru_nvcsw if known and _RUSAGE_THREAD is not None else 0

    def woke(self, slept_before: int) -> None:
        """Take the looks that were due by now: called first of all after a sleep, whatever has ended it."""
        now_s = time.monotonic()
        if now_s < self.due_s:
            return
        slept = self.asleep() - slept_before
        # Who waits for the GIL wakes to ask for it at every switch interval.
        waited_s = min((slept - 1) * sys.getswitchinterval(), LONGEST_S) if slept > 1 else 0.0
        is_first = True
        while self.due_s <= now_s:
            # What was due while this thread was at work itself tells of nobody else.
            if is_first and slept:
                self._look(held=waited_s > 0.0)
            elif self.due_s >= now_s - waited_s:
                self._look(held=True)
            is_first = False
            self.due_s += self._pause_s * (0.5 + self._draw())

    def _look(self, *, held: bool) -> None:
        self._looks += 1
        self._over_s += self._pause_s
        if held:
            self._held_s += self._pause_s
            self._held_just_s += self._pause_s

    def look(self) -> None:
        """Look who held it, if somebody has as this thread woke, and it is time again."""
        held_s, self._held_just_s = self._held_just_s, 0.0
        now_ns = perf_counter_ns()
        if held_s and now_ns >= self._rests_until_ns:
            began_ns = thread_time_ns()
            try:
                self._look_who(held_s / BUSY_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs a count
                self._guard.fault("probes.gil", error)
            self._rests_until_ns = now_ns + RESTS * (thread_time_ns() - began_ns)

    def _look_who(self, stands_for: float) -> None:
        is_first = not self._cpu_ns
        held_it = self._suspects()
        if is_first:
            return  # there is nothing to compare with
        if len(held_it) > 1:
            held_it = _without_those_that_run(held_it)
        whole_ns = sum(each.took_ns for each in held_it)
        if not whole_ns:
            self._count(("", "", ""), "", stands_for)
            return
        for each in held_it:
            where, line, route = self._at(each)
            self._count(
                (_NUMBERS.sub("", each.name), where, route), line, stands_for * each.took_ns / whole_ns
            )

    def _suspects(self) -> list[_Suspect]:
        """Return the threads that have taken CPU since the last look."""
        found = []
        before, self._cpu_ns = self._cpu_ns, {}
        frames = current_frames()
        if not self._threads.keys() >= frames.keys():
            self._threads = {
                thread.ident: (thread.name, thread.native_id)
                for thread in threading.enumerate()
                if thread.ident is not None and thread.native_id is not None
            }
            # Those that Python did not start have no number here.
            self._threads = dict.fromkeys(frames, ("", 0)) | self._threads
        for ident, frame in list(frames.items())[:MAX_THREADS]:
            name, native_id = self._threads[ident]
            if not native_id:
                continue
            cpu_ns = cpu_of(native_id)
            if cpu_ns is None:
                continue
            # A thread that has begun since took all of its CPU since.
            took_ns = cpu_ns - before.get(native_id, 0)
            self._cpu_ns[native_id] = cpu_ns
            if took_ns >= LEAST_CPU_NS:
                found.append(_Suspect(ident, frame, name, native_id, cpu_ns, took_ns))
        return found

    def _at(self, suspect: _Suspect) -> tuple[str, str, str]:
        """Return what it is at, without the line and with it, and whose request that is for."""
        on_loop = suspect.ident == self._eyes.thread_id
        if on_loop and self._eyes.loop_waits(suspect.frame):
            return "", "", ""
        lines, context = walked(suspect.frame)
        record = self._eyes.request_on_loop() if on_loop else request_in(context)
        route = self._eyes.route_of(record) if record is not None and not record.left_ns else ""
        line = _at_work(lines)
        if line is None:
            return "", "", route
        code = line[0]
        where = place_of(code.co_filename, code.co_firstlineno, code.co_qualname)
        return where, place_of(code.co_filename, line[1], code.co_qualname), route

    def _count(self, key: tuple[str, str, str], line: str, share: float) -> None:
        if key not in self._by and len(self._by) >= MAX_TOLD_APART:
            key = ("", "", "")
        self._by[key] = self._by.get(key, 0.0) + share
        if line:
            self._lines.setdefault(key, Counter())[line] += 1


def _without_those_that_run(suspects: list[_Suspect]) -> list[_Suspect]:
    """Return those that may have held what we have now: who goes on without it had no need of it.

    The one that has just lost it runs for a moment more, and longer where it does not get a processor.
    """
    asleep = [each for each in suspects if not wants_to_run(each.native_id)]
    # Where there are few processors, it may be none of those that are running just now.
    stopped = [each for each in suspects if cpu_of(each.native_id) == each.cpu_ns]
    enough_ns = ENOUGH * sum(each.took_ns for each in suspects)
    for some in (asleep, stopped):
        if sum(each.took_ns for each in some) >= enough_ns:
            return some
    return suspects


def _at_work(lines: tuple[Line, ...]) -> Line | None:
    """Return the innermost line of the app's own, else of a library; None in Python's own alone."""
    library = None
    for line in lines:
        file = line[0].co_filename
        if is_user_code(file):
            return line
        if library is None and not is_stdlib(file):
            library = line
    return library


def _holder(key: tuple[str, str, str], looks: float, lines: Counter[str] | None) -> GilHolder:
    thread, _, route = key
    where = lines.most_common(1)[0][0] if lines else ""
    return GilHolder(thread=thread, where=where, route=route, looks=round(looks, 3))
