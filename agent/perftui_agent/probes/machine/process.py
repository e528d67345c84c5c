"""The worker's process as the system sees it: CPU, memory, threads, open files."""

from __future__ import annotations

import resource
import time
from functools import cached_property

import psutil

from perftui_agent.descriptors import number_open
from perftui_agent.probes.machine.cgroup import NO_LIMITS, Room, read_limits, read_room
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.small_files import read_small
from perftui_agent.wire.clock import instant, steady_ns
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.lives import TICKS_A_SECOND, own_start_ticks
from perftui_agent.wire.process import ProcessStats

_COUNT_FILES_EVERY_S = 5.0

_COUNTING_RESTS = 200
"""How many times as long as counting them took they are not counted again."""

_READ_LIMITS_EVERY_S = 30.0
"""A container's limits may be changed while it runs."""


_READ_ROOM_EVERY_S = 5.0

_GROWN_BYTES = 4_000_000
"""From so much more on, it is asked at once how much memory there is left."""


class ProcessProbe:
    """Reads this process. Runs on the agent's thread; a reading costs about 50 µs."""

    name = "process"

    def __init__(self) -> None:
        self._cpu: tuple[float, float] | None = None
        """CPU seconds and the monotonic moment they were read at."""
        self._open_files: int | None = None
        self._count_files_at = float("-inf")
        self._limits = NO_LIMITS
        self._limits_read_at = float("-inf")
        self._room: Room | None = None
        self._room_read_at = float("-inf")
        self._room_read_for = 0

    @cached_property
    def _process(self) -> psutil.Process:
        # Not at start-up, on the app's loop: it reads files.
        return psutil.Process()

    @cached_property
    def started_at(self) -> float:
        """When the process started, seconds since the epoch as the wall clock is now."""
        if not self.start_ticks:
            return self._process.create_time()
        now = instant()
        return now.wall_ns / 1e9 - self._uptime_s(now.steady_ns)

    @cached_property
    def start_ticks(self) -> int:
        """When the process started, in ticks since the boot; 0 where the system doesn't tell."""
        return own_start_ticks()

    def _uptime_s(self, now_ns: int) -> float:
        if not self.start_ticks:
            return time.time() - self.started_at
        return now_ns / 1e9 - self.start_ticks / TICKS_A_SECOND

    def attach(self) -> ProbeStatus:
        """There is nothing to attach to."""
        return ON

    def detach(self) -> None:
        """There is nothing to take back."""

    def fill(self, frame: Frame) -> None:
        """Add the process as it is now."""
        frame.process = self.read()

    def read(self) -> ProcessStats:
        """Return the process as it is now; what the system won't tell is None."""
        now = time.monotonic()
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        rss, threads = self._memory_and_threads()
        if now >= self._count_files_at:
            self._open_files = self._count_open_files()
            # Where that takes listing a directory: with 20,000 descriptors it is a tenth of a second.
            took = time.monotonic() - now
            self._count_files_at = now + max(_COUNT_FILES_EVERY_S, _COUNTING_RESTS * took)
        if now - self._limits_read_at >= _READ_LIMITS_EVERY_S:
            self._limits_read_at = now
            self._limits = read_limits()
        if now - self._room_read_at >= _READ_ROOM_EVERY_S or abs(rss - self._room_read_for) >= _GROWN_BYTES:
            self._room_read_at, self._room_read_for = now, rss
            self._room = read_room()
        used = cpu.ru_utime + cpu.ru_stime
        percent = None
        if self._cpu is not None and now > self._cpu[1]:
            percent = max(0.0, 100.0 * (used - self._cpu[0]) / (now - self._cpu[1]))
        self._cpu = (used, now)
        return ProcessStats(
            cpu_percent=percent,
            cpu_user_s=cpu.ru_utime,
            cpu_system_s=cpu.ru_stime,
            rss_bytes=rss,
            threads=threads,
            open_files=self._open_files,
            open_files_limit=_open_files_limit(),
            cpu_limit=self._limits.cores,
            memory_limit_bytes=self._limits.memory_bytes,
            memory_left_bytes=self._room.bytes if self._room is not None else None,
            memory_left_in=self._room.within if self._room is not None else "",
            uptime_s=max(0.0, self._uptime_s(steady_ns())),
        )

    def _memory_and_threads(self) -> tuple[int, int]:
        try:
            # Where there is one, this file has both: 18 µs, where psutil takes 200.
            after_name = read_small("/proc/self/stat").rpartition(b")")[2].split()
            return int(after_name[21]) * resource.getpagesize(), int(after_name[17])
        except IndexError:
            return self._process.memory_info().rss, self._process.num_threads()

    def _count_open_files(self) -> int | None:
        number = number_open()
        if number is not None:
            return number
        try:
            return self._process.num_fds()
        except (psutil.Error, OSError):
            return None


def _open_files_limit() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft in {resource.RLIM_INFINITY, -1} else soft
