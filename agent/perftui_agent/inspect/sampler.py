"""The agent's own sampler: stacks of the threads of this process, each with the request it works for.

Takes a rate, a length and who knows the app's loop and requests; gives the samples it has counted. It runs on
a thread of its own and looks from inside: it needs no permission and stops nobody, and it can join what runs
with the request it runs for. It sees the app between two bytecodes: C code that keeps the GIL is seen at the
line that called it when it lets go, and counts there for the whole time.

The thread gets the GIL from one that computes when the switch interval is over: five milliseconds, in which
most of what a service does has ended. So that is shortened while it samples; what runs for longer than half
a millisecond is seen as often as it runs; shorter stretches stand for each other.

Each sample stands for the time since the one before, so that late ones (a held GIL, a busy machine) don't
lose what they are late by. Its share of a core is kept below `MOST_SHARE` by taking fewer samples.
"""

from __future__ import annotations

import sys
import threading
import time
from time import perf_counter_ns
from types import FrameType
from typing import Protocol

import msgspec

from perftui_agent.foreign_frames import current_frames
from perftui_agent.records import RequestRecord
from perftui_agent.thread_stack import Line, cpu_of, request_in, walked

MOST_SHARE = 0.02
"""Of a core."""

SWITCH_INTERVAL_S = 0.0005
"""How long a thread keeps the GIL while others want it, while a profile is taken; Python's own is 5 ms."""

MAX_STACKS = 20_000
"""Distinct stacks; further ones are counted as one."""

MAX_THREADS = 200

_LONGEST_NS = 1_000_000_000
"""More than that between two samples is not put down to a stack: the process was stopped, or nobody knows."""

_BUSY_SHARE = 0.1
"""Of the time between two samples, in CPU: a thread that took less has waited."""

WAITING_FILES = (
    *("threading.py", "queue.py", "selectors.py", "socket.py", "ssl.py", "subprocess.py"),
    *("concurrent/futures/thread.py", "multiprocessing/connection.py", "socketserver.py"),
)
"""Where a thread's innermost frame most likely waits, where the system does not tell what CPU it took."""


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


class Key(msgspec.Struct, frozen=True):
    """What samples are counted by."""

    lines: tuple[Line, ...]
    """Innermost first."""
    route: str
    thread: str
    on_loop: bool
    idle: bool
    """Whether it waited for something to do, and for nobody's request."""


class Tally(msgspec.Struct):
    """What has been sampled so far."""

    stacks: dict[Key, tuple[int, int]]
    """Nanoseconds and samples of each stack."""
    began_ns: int
    samples: int = 0
    missed: int = 0
    cut: int = 0
    working: int = 0
    attributed: int = 0
    """Of the stacks at work, those whose request is known."""
    ended_ns: int = 0
    rate_hz: float = 0.0


class Sampler:
    """One profile of this process, from `start` to `stop`."""

    def __init__(
        self,
        eyes: Eyes,
        *,
        rate_hz: int,
        working_only: bool,
    ) -> None:
        self._eyes = eyes
        self._period_ns = 1_000_000_000 // max(rate_hz, 1)
        self._working_only = working_only
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="perftui-sampler", daemon=True)
        self._cpu_ns: dict[int, int] = {}
        """What CPU each thread had taken, by its number in the system."""
        self.fault: Exception | None = None
        self.tally = Tally({}, perf_counter_ns())

    def start(self) -> None:
        """Begin; RuntimeError where there can be no further thread."""
        self._thread.start()

    def stop(self) -> None:
        """Take no further sample; the one under way is counted within moments."""
        self._stopping.set()

    @property
    def ended(self) -> bool:
        """Whether the thread is done."""
        return self._ended.is_set()

    def _run(self) -> None:
        interval_s = sys.getswitchinterval()
        try:
            sys.setswitchinterval(min(SWITCH_INTERVAL_S, interval_s))
            self._sample_on()
        except Exception as error:  # noqa: BLE001 - told as the reason why there is no profile
            self.fault = error
        finally:
            sys.setswitchinterval(interval_s)
            self.tally.ended_ns = perf_counter_ns()
            self._ended.set()

    def _sample_on(self) -> None:
        tally, period_ns = self.tally, self._period_ns
        last_ns = due_ns = perf_counter_ns()
        while True:
            due_ns += period_ns
            wait_ns = due_ns - perf_counter_ns()
            if self._stopping.wait(max(wait_ns, 0) / 1e9):
                return
            now_ns = perf_counter_ns()
            if now_ns - due_ns >= period_ns:
                late = (now_ns - due_ns) // period_ns
                tally.missed += late
                due_ns += late * period_ns
            cpu_ns = time.thread_time_ns()
            self._sample(min(now_ns - last_ns, _LONGEST_NS))
            cost_ns = time.thread_time_ns() - cpu_ns
            last_ns = now_ns
            # What a sample costs depends on the threads and on how deep they are.
            period_ns = max(self._period_ns, int(cost_ns / MOST_SHARE * 0.8))
            tally.rate_hz = 1e9 / period_ns

    def _sample(self, ns: int) -> None:
        tally, eyes = self.tally, self._eyes
        threads = {thread.ident: thread for thread in threading.enumerate()}
        tally.samples += 1
        for at, (ident, frame) in enumerate(current_frames().items()):
            thread = threads.get(ident)
            name = thread.name if thread is not None else ""
            if at >= MAX_THREADS or name.startswith("perftui-"):
                continue
            on_loop = ident == eyes.thread_id
            if on_loop:
                working = not eyes.loop_waits(frame)
            else:
                worked = self._worked(thread.native_id if thread is not None else None, ns)
                working = not _waits(frame) if worked is None else worked
            if self._working_only and not working:
                continue
            lines, context = walked(frame)
            record = None
            if not on_loop:
                record = request_in(context)
            elif working:
                record = eyes.request_on_loop()
            if record is not None and record.left_ns:
                record = None
            if working:
                tally.working += 1
                tally.attributed += record is not None
            idle = not working and record is None
            self._count(lines, record, name, ns, on_loop=on_loop, idle=idle)

    def _worked(self, native_id: int | None, since_ns: int) -> bool | None:
        """Tell whether a thread has taken CPU since the last sample; None where the system does not tell."""
        cpu_ns = cpu_of(native_id)
        if native_id is None or cpu_ns is None:
            return None
        before_ns = self._cpu_ns.get(native_id)
        self._cpu_ns[native_id] = cpu_ns
        return None if before_ns is None else cpu_ns - before_ns >= _BUSY_SHARE * since_ns

    def _count(
        self,
        lines: tuple[Line, ...],
        record: RequestRecord | None,
        thread: str,
        ns: int,
        *,
        on_loop: bool,
        idle: bool,
    ) -> None:
        tally = self.tally
        route = self._eyes.route_of(record) if record is not None else ""
        key = Key(lines, route, thread, on_loop, idle)
        known = tally.stacks.get(key)
        if known is None and len(tally.stacks) >= MAX_STACKS:
            tally.cut += 1
            key = Key((), route, "", on_loop, idle)
            known = tally.stacks.get(key)
        total_ns, count = known or (0, 0)
        tally.stacks[key] = total_ns + ns, count + 1


def _waits(frame: FrameType) -> bool:
    return frame.f_code.co_filename.endswith(WAITING_FILES)
