"""Whether a request may have waited for the app's event loop, for next to nothing.

The loop is known to have turned when a tick of its clock ran, and when a request was called whose bytes had
only just arrived. What is called within `GRACE_NS` of that can't have waited longer than that, and needs no
asking; so the request's path reads one number. Who comes later asks the kernel, whose answer is the next sign
of life: at most 125 questions a second, and one in eighty requests where there are 10,000 of them. Where a
tick was late or a request had waited, everybody asks for a while: thousands may wait behind each other.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident

GRACE_NS = 8_000_000
"""Two steps of the kernel's clock on most machines: of less it could not tell anyway."""

LATE_FOR_NS = 100_000_000
"""After a late turn everybody asks for so long, and as long again as it was late."""

RESTING_NS = 1_000_000_000
"""Where there is nobody to ask, it is tried again so much later."""


class LoopPace:
    """What the app's loop has shown of itself. Written on the loop's own thread."""

    def __init__(self) -> None:
        self.ask_from_ns = 0
        """Requests that are called from this moment on may have waited; by `perf_counter_ns`."""
        self.late_from_ns = 0
        """The same, where `ask_from_ns` is 0 because everybody is asked about something else as well."""
        self.everybody_asks = False
        self.at_each_tick: Callable[[], None] | None = None
        """What else is to be done on the loop when its clock ticks; it raises nothing."""
        self._late_until_ns = 0
        self._thread_id = 0
        self._is_one = True

    def follow_this_thread(self) -> None:
        """Take what is told from now on to be of the loop that runs in this thread."""
        self._thread_id = get_ident()
        self._is_one = True
        self._late_until_ns = 0
        self._ask_from(0)

    def turned(self, due_ns: int, now_ns: int) -> None:
        """Take a tick that was due then and runs now."""
        if self._thread_id == get_ident():
            self._turned(due_ns, now_ns)
            if self.at_each_tick is not None:
                self.at_each_tick()

    def called(self, arrived_ns: int, now_ns: int) -> None:
        """Take a request whose bytes arrived then and that is called now."""
        if self._thread_id == get_ident():
            self._turned(arrived_ns, now_ns)
        else:
            # Requests run on another loop too: what one of them shows says nothing of the other.
            self._is_one = False
            self._ask_from(0)

    def rest(self, now_ns: int) -> None:
        """Have nobody ask for a while: there is nobody who would know."""
        self._ask_from(now_ns + RESTING_NS)

    def _turned(self, since_ns: int, now_ns: int) -> None:
        late_ns = now_ns - since_ns
        if late_ns >= GRACE_NS:
            self._late_until_ns = max(self._late_until_ns, now_ns + LATE_FOR_NS + late_ns)
            self._ask_from(0)
        elif self._is_one and now_ns >= self._late_until_ns:
            self._ask_from(since_ns + GRACE_NS)

    def _ask_from(self, moment_ns: int) -> None:
        self.late_from_ns = moment_ns
        self.ask_from_ns = 0 if self.everybody_asks else moment_ns
