"""A program in a pty, watched from the outside: what it writes, what CPU it takes, how soon it answers a key.

Whatever it does at a key is told from what it does by itself by its effect: a sign that has moved, a line
that has appeared. Time is up when the bytes have come after which the screen shows that.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import statistics
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil
import pyte

from tests.support.terminal import spawned

Effect = Callable[[pyte.Screen], Hashable]
"""What of the screen a key changes, and nothing else does."""

KEY_WAIT_S = 3.0
"""A key that has had no effect by then has none."""

STARTING_S = 60.0


@dataclass(frozen=True, slots=True)
class Keys:
    """How soon keys had their effect."""

    took_ms: Sequence[float]
    without_effect: int

    @property
    def p95_ms(self) -> float:
        """The time within which 95 of 100 keys had their effect."""
        return statistics.quantiles(self.took_ms, n=20, method="inclusive")[-1]


class Watched:
    """A running program and its screen."""

    def __init__(self, descriptor: int, pid: int, size: tuple[int, int]) -> None:
        self._descriptor = descriptor
        self._process = psutil.Process(pid)
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.began = time.monotonic()
        self.read_at = self.began
        """When the last bytes came."""

    def read(self, timeout_s: float) -> int:
        """Take in what comes next; return how many bytes."""
        ready, _, _ = select.select([self._descriptor], [], [], max(timeout_s, 0.0))
        if not ready:
            return 0
        data = os.read(self._descriptor, 65536)
        self.read_at = time.monotonic()
        self._stream.feed(data)
        return len(data)

    def wait_for(self, word: str) -> float:
        """Wait until the screen shows `word`; return after how many seconds from the start it did."""
        while not any(word in line for line in self.screen.display):
            if time.monotonic() - self.began > STARTING_S:
                raise TimeoutError(f"{word!r} is not shown:\n" + "\n".join(self.screen.display))
            self.read(0.5)
        return self.read_at - self.began

    def drain(self, seconds: float) -> int:
        """Read for so long; return how many bytes came."""
        until, count = time.monotonic() + seconds, 0
        while (left := until - time.monotonic()) > 0:
            count += self.read(left)
        return count

    def cpu_s(self) -> float:
        """Return the CPU it has taken since its start."""
        times = self._process.cpu_times()
        return times.user + times.system

    def answers(self, keys: Sequence[str], effect: Effect) -> Keys:
        """Press one key after the other, at any moment of its own rhythm; return how soon it answered."""
        rng, took_ms, without_effect = random.Random(7), [], 0
        for key in keys:
            self.drain(rng.uniform(0.15, 0.45))
            before, began = effect(self.screen), time.monotonic()
            os.write(self._descriptor, key.encode())
            while effect(self.screen) == before and (left := began + KEY_WAIT_S - time.monotonic()) > 0:
                self.read(left)
            if effect(self.screen) == before:
                without_effect += 1
            else:
                took_ms.append(1000 * (self.read_at - began))
        return Keys(took_ms, without_effect)


@contextlib.contextmanager
def watched(
    command: Sequence[str], size: tuple[int, int], environ: Mapping[str, str] | None = None
) -> Iterator[Watched]:
    """Run a command in a pty of this size (columns, lines); it is killed at the end."""
    with spawned(*command, env={**os.environ, **(environ or {})}, size=size) as child:
        assert child.pid is not None
        yield Watched(child.fileno(), child.pid, size)


@contextlib.contextmanager
def compiled() -> Iterator[Mapping[str, str]]:
    """Yield an environment in which modules are compiled once, as those of an installed program are."""
    with tempfile.TemporaryDirectory(prefix="perftui-bench-") as cache:
        yield {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
