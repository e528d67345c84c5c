"""Tells how a sibling ended that did not stop in order: by which signal, with which code, for lack of memory.

Only the parent of a process is told how it ended, and no supervisor passes that on. But the kernel keeps it
for whoever holds a descriptor of the process (`pidfd`; Linux 6.15), and until it is reaped `/proc` tells the
same. So each agent holds one of each sibling, which is readable as soon as that has ended. All of them tell
of it under the same id, and so it is told once. Who stops in order has withdrawn its entry before.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import time
from collections import deque
from typing import NamedTuple

from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.probes.machine.cgroup import Kills, read_kills, read_limits
from perftui_agent.siblings.neighbours import Neighbour, Neighbours
from perftui_agent.siblings.pulse import read_pulse
from perftui_agent.wire.endings import ENDED, OUT_OF_MEMORY, Ending, sentence
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.lives import running_start_ticks, stat_of

LOOK_NS = 500_000_000

KNOWN = hasattr(os, "pidfd_open")

KILLS_EVERY_S = 2.0
KILLS_KEPT = 3
"""An end is held against what the kernel had counted 4 to 6 s before: a process of gigabytes takes seconds to
end. To read that costs 0.8 ms out of cold caches."""

MOST = 32
"""Descriptors that are held; a service of more workers is told of by some of them."""

_GET_INFO = 0xC040FF0B
"""`PIDFD_GET_INFO`, of a struct of 64 bytes: the kernel fills in as much as it knows."""

_INFO_BYTES, _INFO_EXIT, _EXIT_CODE_AT = 64, 1 << 3, 60

SCORE_EVERY_S = 5.0


class _Held(NamedTuple):
    neighbour: Neighbour
    descriptor: int


class Endings:
    """Watches for the ends of siblings. Belongs to the agent's thread."""

    def __init__(self, neighbours: Neighbours, tray: EvidenceTray, guard: Guard) -> None:
        self._neighbours = neighbours
        self._tray = tray
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._held: dict[str, _Held] = {}
        self._ended: set[str] = set()
        self._kills: deque[Kills] = deque(maxlen=KILLS_KEPT)
        """As they were, the oldest first: the kernel counts as it decides, and the end comes later."""
        self._counted_at = float("-inf")
        self._scores: dict[str, int] = {}
        self._scored_at = float("-inf")
        self._looked_ns = -LOOK_NS

    def glance(self, now_ns: int) -> None:
        """See who is there, if it is time to; on the agent's thread, as part of its beat."""
        if now_ns - self._looked_ns >= LOOK_NS and KNOWN:
            self._looked_ns = now_ns
            with self._guard.guarding("siblings.endings"):
                self._look()

    def close(self) -> None:
        """Watch no more."""
        for worker in list(self._held):
            self._let_go(worker)

    def _look(self) -> None:
        """Hold a descriptor of each sibling there is, and note what an end will be held against."""
        ring = self._neighbours.ring
        if not ring and not self._held:
            # A single worker tells of nobody, and what was counted long ago tells nothing.
            self._kills.clear()
            self._ended.clear()
            return
        there = {neighbour.worker.id: neighbour for neighbour in ring}
        now = time.monotonic()
        if not there:
            self._kills.clear()
        elif now - self._counted_at >= KILLS_EVERY_S or not self._kills:
            self._counted_at = now
            self._kills.append(read_kills())
        self._ended &= set(there)
        for worker in set(self._held) - set(there):
            self._let_go(worker)
        for worker, neighbour in there.items():
            if worker not in self._held and worker not in self._ended and len(self._held) < MOST:
                self._hold(neighbour)
        if now - self._scored_at >= SCORE_EVERY_S:
            self._scored_at = now
            self._scores = {
                worker: _score_of(held.neighbour.worker.pid) for worker, held in self._held.items()
            }

    def _hold(self, neighbour: Neighbour) -> None:
        worker = neighbour.worker
        try:
            descriptor = os.pidfd_open(worker.pid)
        except OSError:
            return
        if running_start_ticks(worker.pid) != worker.start_ticks:  # its pid is another's by now
            os.close(descriptor)
            return
        self._held[worker.id] = _Held(neighbour, descriptor)
        self._loop.add_reader(descriptor, self._has_ended, worker.id)

    def _let_go(self, worker: str) -> None:
        held = self._held.pop(worker)
        self._loop.remove_reader(held.descriptor)
        os.close(held.descriptor)

    def _has_ended(self, worker: str) -> None:
        with self._guard.guarding("siblings.endings"):
            held = self._held[worker]
            status = _status_of(held)
            self._let_go(worker)
            self._ended.add(worker)
            neighbour = held.neighbour
            if status is None or not (neighbour.directory / f"{neighbour.stem}.json").exists():
                return
            self._tray.tell(self._evidence(neighbour, status))

    def _evidence(self, neighbour: Neighbour, status: int) -> Evidence:
        kills = read_kills()
        before = self._kills[0] if self._kills else kills
        number = status & 0x7F
        by_lack = number == signal.SIGKILL and kills.in_group_since(before)
        on_host = number == signal.SIGKILL and not by_lack and kills.on_host_since(before)
        if by_lack or on_host:
            self._kills.clear()  # a rise is the end of one
            self._kills.append(kills)
        ending = Ending(
            signal=number,
            code=status >> 8,
            out_of_memory=by_lack,
            host_out_of_memory=on_host,
            memory_known=kills.in_group is not None,
            limit_bytes=read_limits().memory_bytes,
            score=self._scores.get(neighbour.worker.id) or None,
        )
        sign = read_pulse(neighbour.pulse)
        rows = sign.in_flight if sign is not None else []
        return Evidence(
            id=f"{ENDED}@{neighbour.worker.id}",
            kind=ENDED,
            at=time.time_ns(),
            worker=neighbour.worker.id,
            verdict=OUT_OF_MEMORY if by_lack else ending.name,
            route=rows[0].route if len(rows) == 1 else None,
            in_flight=rows,
            text=sentence(ending),
            how="its exit status, by the kernel",
            outcome="ended",
        )


def _status_of(held: _Held) -> int | None:
    """Return the wait status of a process that has ended; None where nobody tells."""
    info = bytearray(_INFO_BYTES)
    struct.pack_into("<Q", info, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(held.descriptor, _GET_INFO, info)
        if struct.unpack_from("<Q", info, 0)[0] & _INFO_EXIT:
            status: int = struct.unpack_from("<i", info, _EXIT_CODE_AT)[0]
            return status
    except OSError:
        pass
    return _status_of_zombie(held.neighbour.worker.pid, held.neighbour.worker.start_ticks)


def _status_of_zombie(pid: int, start_ticks: int) -> int | None:
    stat = stat_of(str(pid))
    if stat is None or stat[2] != start_ticks or stat[1] not in {"Z", "X"}:
        return None
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return int(file.read(4096).rpartition(b")")[2].split()[49])
    except (OSError, ValueError, IndexError):
        return None


def _score_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/oom_score", "rb", buffering=0) as file:
            return int(file.read(32))
    except (OSError, ValueError):
        return 0
