"""One life of the agent's thread: from its start in the worker's own process until it is told to stop.

Every 50 ms it looks at the app and folds what the app's threads have put down; beside that its loop does its
duties. Everything on it is guarded: a fault costs a count.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable

from perftui_agent.belongings import Belongings
from perftui_agent.duties import Duties
from perftui_agent.every_probe import EveryProbe
from perftui_agent.listeners import Listeners
from perftui_agent.rhythm import FOLD_AT_ONCE, BeatingSelector
from perftui_agent.siblings.alarm import rest_s
from perftui_agent.wire.lives import AGENT_THREAD

STOP_WITHIN_S = 0.05
"""How long a stopping app waits for the agent's thread, which would end without it, too."""

FINISH_WITHIN_S = 5.0
"""How long a new thread waits for the one before."""

_log = logging.getLogger("perftui")


class Life:
    """A thread with what it works with; gone when the thread has ended."""

    def __init__(self, own: Belongings, previous: Life | None, ended: Callable[[Life], None]) -> None:
        self._guard = own.guard
        self._window = own.window
        self._previous = previous
        self._ended = ended
        self._thread = threading.Thread(target=self._main, name=AGENT_THREAD, daemon=True)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._rest_s = rest_s()
        own.window.shapes.show_text = own.settings.sql_text == "shape"
        own.arrivals.believe(own.settings.queue_header)
        listeners = Listeners()
        self._probes = EveryProbe(own, listeners.of_the_app)
        self._duties = Duties(own, self._probes, listeners)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The app's loop that is watched; None before one is known, and when it was closed."""
        return self._probes.loop.loop

    def start(self) -> None:
        """Have the probes attach, and begin."""
        self._probes.set.attach()
        self._thread.start()

    def watch_running_loop(self) -> None:
        """Watch the loop that the caller runs in, if there is one."""
        self._probes.loop.watch_running_loop()

    def stop(self) -> None:
        """End the thread, after its last frame; wait for that, but not for long."""
        self._stopping = True
        self._duties.disarm()
        self._probes.set.detach()
        task = self._task
        if task is not None:
            with contextlib.suppress(RuntimeError):  # its loop has been closed: it is over
                task.get_loop().call_soon_threadsafe(task.cancel)
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_WITHIN_S)
        if self._thread.is_alive():
            self._duties.withdraw()

    def forget_parent(self) -> None:
        """Let go, in a forked child, of what is the parent's and goes on there."""
        self._probes.set.detach()
        self._probes.loop.timer.close()
        self._duties.leave_to_parent()

    def finish(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join(FINISH_WITHIN_S)

    def _main(self) -> None:
        if self._previous is not None:
            # One after the other: nobody folds beside another.
            self._previous.finish()
            self._previous = None
        try:
            # Not the policy's loop: that may be uvloop, and the app's affair.
            with asyncio.Runner(loop_factory=self._new_loop) as runner:
                runner.run(self._live())
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - the thread may end, the app must not notice
            self._guard.fault("agent.thread", error)
            _log.warning("perftui: this worker can't be watched: %s", error)
        finally:
            if not self._stopping:
                self._probes.set.detach()
            self._ended(self)
            self._duties.withdraw()
            self._probes.loop.timer.close()

    async def _live(self) -> None:
        self._task = asyncio.current_task()
        if not self._stopping:
            await self._duties.run()

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        probes = self._probes
        return asyncio.SelectorEventLoop(BeatingSelector(self._beat, probes.gil, probes.loop.timer.open()))

    def _beat(self) -> float:
        """Do what is due; return after how many seconds something is again, 0 if there is more to do."""
        pause_s = self._probes.loop.beat_s
        if self._duties.serving:
            folded = self._look_and_fold()
            if folded >= FOLD_AT_ONCE:
                pause_s = 0.0
            elif not folded and self._probes.may_rest:
                pause_s = max(pause_s, self._rest_s)
        self._probes.loop.rests(int(pause_s * 1e9))
        return pause_s

    def _look_and_fold(self) -> int:
        # Before all that lets go of the GIL, as a write does: who held it is found where he was.
        # Written out: at twenty times a second, each out of cold caches, two guards would cost 0.02 %.
        loop_probe = self._probes.loop
        try:
            watched = loop_probe.loop
            self._probes.look()
            self._duties.look()
            if watched is not None and loop_probe.loop is None:
                # It was closed: the next request wakes the agent again and brings the one it runs in.
                self._window.open = False
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count
            self._guard.fault("agent.beat", error)
        self._duties.beat()
        if loop_probe.is_held:
            # What ends as it goes on again has waited for it, and for how long is known with its next tick.
            return 0
        try:
            return self._window.fold_pending(FOLD_AT_ONCE)
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("window", error)
            return FOLD_AT_ONCE
