"""Where the shop keeps its SQLite file: a private directory of this user, shared by all workers."""

from __future__ import annotations

import functools
import hashlib
import os
import sqlite3
import stat
import tempfile
from contextlib import closing
from pathlib import Path

from demo_app import faults


def data_dir() -> Path:
    """Return `SHOP_DATA_DIR`, or this user's directory below the temporary one; it exists and is private."""
    chosen = os.environ.get("SHOP_DATA_DIR")
    path = Path(chosen or Path(tempfile.gettempdir()) / f"perftui-shop-{os.getuid()}")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
        raise PermissionError(f"{path} is not this user's alone: remove it, or set SHOP_DATA_DIR")
    return path


def database_file() -> Path:
    """Return the path of the SQLite file, whether or not it has been built.

    Its name tells the data and the schema apart, so a shop never opens what another version built.
    """
    schema = "scan" if faults.active("missing-index") else "indexed"
    return data_dir() / f"shop-{_recipe()}-{schema}.sqlite3"


def copy_file(source: Path, target: Path) -> None:
    """Copy a SQLite file that others may be writing to."""
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)
        copy.execute("PRAGMA journal_mode = WAL")


@functools.cache
def _recipe() -> str:
    """Return a digest of the code that makes the data."""
    sources = [Path(__file__).with_name(name).read_bytes() for name in ("models.py", "goods.py", "seed.py")]
    return hashlib.sha256(b"".join(sources)).hexdigest()[:8]
