"""Who ends a worker that does not answer, and after how long: as the server itself has it in this process.

uvicorn's supervisor waits for an answer to a ping, gunicorn's for a sign that its worker gives now and then.
How long they are told to wait stands in objects that their workers' main threads hold, whether it came from
the command line, a file or the environment. Where neither is found, nothing is said.
"""

from __future__ import annotations

import os
import threading
from types import FrameType
from typing import Any, NamedTuple

from perftui_agent.foreign_frames import current_frames, locals_of, stack_of
from perftui_agent.wire.identity import WorkerIdentity

MAX_FRAMES = 500

_HOLDERS = (
    ("/uvicorn/_subprocess.py", "config", "timeout_worker_healthcheck"),
    ("/gunicorn/workers/base.py", "self", "cfg.timeout"),
)
"""Where a file's frame has an object, and what of it is the time."""

EARLY_S = 0.5
"""A worker may have been silent for a little less: it was, when it was last asked."""


class Supervisor(NamedTuple):
    """The process that ends workers."""

    name: str
    pid: int
    patience_s: float

    @property
    def shown(self) -> str:
        """As people say it."""
        return f"{self.name} (pid {self.pid})"

    def has_ended(self, worker: WorkerIdentity, silent_s: float) -> bool:
        """Tell whether it was this one that ended a worker after so long a silence, as far as that tells."""
        return self.pid == worker.supervisor_pid and silent_s >= self.patience_s - EARLY_S


def own_supervisor() -> Supervisor | None:
    """Return who watches over this process; None if nobody does that is known."""
    pid = os.getppid()
    if pid <= 1:
        return None
    frame = current_frames().get(threading.main_thread().ident or 0)
    return supervisor_in(frame, pid)


def supervisor_in(innermost: FrameType | None, pid: int) -> Supervisor | None:
    """Return who watches over the process whose main thread is here."""
    for frame in stack_of(innermost, MAX_FRAMES):
        for file, variable, attribute in _HOLDERS:
            if frame.f_code.co_filename.endswith(file):
                patience_s = _read(locals_of(frame).get(variable), attribute)
                if patience_s is not None:
                    return Supervisor(file.split("/")[1], pid, patience_s)
    return None


def _read(holder: Any, attribute: str) -> float | None:
    for name in attribute.split("."):
        holder = getattr(holder, name, None)
    if isinstance(holder, int | float) and not isinstance(holder, bool) and holder > 0:
        return float(holder)
    return None
