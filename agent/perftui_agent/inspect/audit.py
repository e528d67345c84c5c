"""The audit trail: one line in the app's log for each action that was asked for.

The lines are written on a thread of their own. A process that hangs often hangs in its own logging
(a handler that waits for a full pipe, with the handler's lock held), and the action that would show
it must not wait for the same lock.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque

from perftui_agent.inspect.text import printable

MAX_WAITING_LINES = 100
MAX_LINE_CHARACTERS = 500

_logger = logging.getLogger("perftui.audit")


class AuditTrail:
    """Writes lines to the logger `perftui.audit`, in order, without ever waiting for it."""

    def __init__(self, logger: logging.Logger = _logger) -> None:
        self._logger = logger
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING_LINES)
        self._lock = threading.Lock()
        self._writing = False

    def write(self, line: str) -> None:
        """Log `line` at INFO, soon; beyond 100 lines that can't be written the oldest are lost."""
        with self._lock:
            self._waiting.append(printable(line, MAX_LINE_CHARACTERS))
            if self._writing:
                return
            self._writing = True
        try:
            threading.Thread(target=self._write_all, name="perftui-audit", daemon=True).start()
        except RuntimeError:  # no more threads here, or the interpreter is going down
            with self._lock:
                self._writing = False

    def _write_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._writing = False
                    return
                line = self._waiting.popleft()
            with contextlib.suppress(Exception):  # a filter of the app may raise; there is nobody to tell
                self._logger.info("%s", line)
