"""How long the app's threads waited for a processor although they were ready to run: the scheduler's account.

A quota that is used up, more work than processors, a hypervisor that has given them away: whatever the
reason, it shows here, and only for who had something to do. The agent's own thread is left out.
"""

from __future__ import annotations

import os
import threading
import time

from perftui_agent.small_files import NowAndThen
from perftui_agent.toll import Account, take_toll
from perftui_agent.wire.machine import CpuWait

ASK_EVERY_S = 4.5
RESTS = 2_000
"""A thread costs 20 to 40 µs, and three times the GIL is given up for it: the account of five seconds is no
less exact than those of five times one."""

TOLD_FROM_NS = 1_000_000
"""Below it nobody asks who that was."""


class CpuWaits:
    """Tells of the time since it was asked last; for the agent's thread, which is left out."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._ask = NowAndThen(ASK_EVERY_S, RESTS)
        self._before: dict[int, Account] = {}
        self._before_ns = 0

    def read(self) -> CpuWait | None:
        """Return it; None where the system does not tell, or has not been asked again yet."""
        if not self._ask.is_due():
            return None
        before, before_ns = self._before, self._before_ns
        now_ns = time.perf_counter_ns()
        self._before, self._before_ns = take_toll("self", self._root), now_ns
        self._before.pop(threading.get_native_id(), None)
        self._ask.done()
        if not before or not self._before:
            return None
        waited = {
            thread: account.waited_ns - before[thread].waited_ns
            for thread, account in self._before.items()
            if thread in before
        }
        thread = max(waited, key=waited.__getitem__, default=0)
        longest_ns = max(0, waited.get(thread, 0))
        return CpuWait(
            over_ns=now_ns - before_ns,
            longest_ns=longest_ns,
            thread=_name(thread) if longest_ns >= TOLD_FROM_NS else "",
        )


def _name(native_id: int) -> str:
    """Return what a thread is called; the number of one that Python did not start."""
    for thread in threading.enumerate():
        if thread.native_id == native_id:
            return thread.name
    return "MainThread" if native_id == os.getpid() else f"thread {native_id}"
