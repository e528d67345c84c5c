"""Whether somebody still writes a recording: a lock on the file, which is gone with whoever holds it.

Where a file system knows no locks, nobody seems to.
"""

from __future__ import annotations

import contextlib
import fcntl


def mark_as_written(file: int) -> None:
    """Let others see that this file is being written, until it is closed."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_being_written(file: int) -> bool:
    """Tell whether somebody writes it, as far as can be told."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
