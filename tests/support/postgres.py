"""A real PostgreSQL for tests: `with postgres() as url: …`."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from demo_app.postgres import start

_SETTINGS = ("-c", "max_prepared_transactions=5", "-c", "shared_preload_libraries=pg_stat_statements")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a fresh server on a Unix socket in a private directory; yield its SQLAlchemy URL for asyncpg."""
    base = Path(tempfile.mkdtemp(prefix="ptui-pg-", dir="/tmp"))
    try:
        process, url = start(base, _SETTINGS)
        try:
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # ends at once, clients or not
            process.wait(30)
    finally:
        shutil.rmtree(base, ignore_errors=True)
