"""One agent per process: it has its thread start and end, through lifespans and forks.

It is made when the app is instrumented, which opens nothing; its thread starts with the app's lifespan or its
first request, in the worker's own process, and runs a small asyncio loop of its own beside the app's.
"""

from __future__ import annotations

import atexit
import os
import threading

from perftui_agent.belongings import Belongings
from perftui_agent.life import Life


class Agent:
    """The agent of this process."""

    def __init__(self) -> None:
        self.own = Belongings(lambda: self._life.loop if self._life is not None else None, self.start)
        self._life: Life | None = None
        self._ended: Life | None = None
        """The one before: it may have something to finish still."""
        self._lifespans = 0
        self._changing = threading.RLock()
        """Held while the thread is started or stopped: apps may start in several threads at once."""
        os.register_at_fork(after_in_child=self._forget_parent)
        atexit.register(self.stop)

    def lifespan_started(self) -> None:
        """The app's lifespan begins."""
        with self._changing:
            self._lifespans += 1
        self.start()

    def lifespan_ended(self) -> None:
        """The app's lifespan is over; with the last one the agent stops."""
        with self._changing:
            self._lifespans = max(0, self._lifespans - 1)
            last = self._lifespans == 0
        if last:
            self.stop()

    def start(self) -> None:
        """Start the thread, have the probes attach, and watch the loop that runs now. Never raises."""
        with self.own.guard.guarding("agent.start"), self._changing:
            if self._life is None:
                self.own.window.take()
                previous, self._ended = self._ended, None
                self._life = Life(self.own, previous, self._has_ended)
                self._life.start()
            # Open even if the thread should fail: a request must not try again each time.
            self.own.window.open = True
            self._life.watch_running_loop()

    def stop(self) -> None:
        """Stop the thread and take the worker off the list. Never raises, waits 50 ms at most."""
        with self.own.guard.guarding("agent.stop"):
            with self._changing:
                life, self._life = self._life, None
                self.own.window.open = False
                if life is not None:
                    self._ended = life
            if life is not None:
                life.stop()

    def _has_ended(self, life: Life) -> None:
        """Keep nothing for a thread that has ended, unless another has begun; called on the thread."""
        with self.own.guard.guarding("agent.stop"), self._changing:
            if self._life is None or self._life is life:
                self.own.window.let_go()

    def _forget_parent(self) -> None:
        # Threads don't survive a fork; the parent's sockets and files are the parent's.
        self._changing = threading.RLock()
        life, self._life, self._ended = self._life, None, None
        if life is not None:
            with self.own.guard.guarding("agent.fork"):
                life.forget_parent()
        self._lifespans = 0
        self.own.window.empty()
        with self.own.guard.guarding("agent.fork"):
            self.own.holders.forget()
