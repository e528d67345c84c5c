"""One silence is looked into once: by who first makes a file of its name.

The name holds the silent worker's and the moment of its last sign, so another silence of the same worker is
another claim. It is removed when the silence is over, and swept with what else its worker has left.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SUFFIX = ".claim"


def claim_of(directory: Path, stem: str, beat_ns: int) -> Path:
    """Return what the claim of a silence is called: of the worker whose files are called `stem`."""
    return directory / f"{stem}.{beat_ns:x}{SUFFIX}"


def take(claim: Path) -> bool:
    """Make it; False if somebody else has, or it can't be made."""
    try:
        os.close(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError:
        return False
    return True


def release(claim: Path) -> None:
    """Remove it."""
    with contextlib.suppress(OSError):
        claim.unlink()
