"""A real PostgreSQL for tests: `with postgres() as url: …`.

Each is a fresh one of its own. What is the same of all, binaries and the data of a server that nobody has
used, is made once for a run of tests, by whichever lane is the first: two thirds of what a start takes.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from demo_app.postgres import prepare, serve

_SETTINGS = ("-c", "max_prepared_transactions=5", "-c", "shared_preload_libraries=pg_stat_statements")

_RUN = os.getpid()
"""Who has collected the tests; lanes are forked from it."""

_PREPARED = Path(f"/tmp/ptui-pg-of-{_RUN}")
"""Not among pytest's own directories: root's server runs as somebody who may not look into those."""


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a fresh server on a Unix socket in a private directory; yield its SQLAlchemy URL for asyncpg."""
    binaries = _prepared()
    base = Path(tempfile.mkdtemp(prefix="ptui-pg-", dir="/tmp"))
    try:
        base.chmod(0o711)
        subprocess.run(["cp", "-Rp", _PREPARED / "data", base], check=True)
        process, url = serve(binaries, base / "data", _SETTINGS)
        try:
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # ends at once, clients or not
            process.wait(30)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _prepared() -> Path:
    """Make what all have in common, unless another lane has; return the directory of the binaries."""
    _PREPARED.mkdir(mode=0o711, exist_ok=True)
    told = _PREPARED / "binaries"
    with (_PREPARED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            told.write_text(str(prepare(_PREPARED)))
    return Path(told.read_text())


@atexit.register
def _forget() -> None:
    """Throw it away at the end of the run; no lane does, nor what a test has forked."""
    if os.getpid() == _RUN:
        shutil.rmtree(_PREPARED, ignore_errors=True)
