"""Runs the shop and its customers until whoever started it lets go: `python -m demo_app.supervisor …`.

Its stdin is a pipe that the starter holds open and never writes to. When the pipe closes, because the
starter said so or because it was killed, the supervisor ends everything it started and then itself. That
needs no signal, so it also works after `kill -9`, on Linux and macOS alike. It must be the leader of its own
session, because it ends by killing its process group.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

from demo_app import files

POLL_S = 0.1
STOP_S = 3.0
"""How long the server may take to end by itself."""
READY_FILE = "ready"
"""Appears in the directory once the shop answers."""


def main(arguments: list[str] | None = None) -> None:
    """Serve until stdin closes or the server ends; ends by killing itself with its whole process group."""
    options = _options(arguments)
    if os.getpgrp() != os.getpid():
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    children: list[subprocess.Popen[bytes]] = []
    try:
        children.append(_start_server(options, _prepare_data(options.directory)))
        _serve(options, children)
        if children[0].poll() is None:
            # Only then: the log of a server that ended by itself is what its starter wants to read.
            shutil.rmtree(options.directory, ignore_errors=True)
    except Exception:  # noqa: BLE001 - the end below leaves nobody to print it
        traceback.print_exc()
    finally:
        _stop(children)
        os.killpg(0, signal.SIGKILL)


def _serve(options: argparse.Namespace, children: list[subprocess.Popen[bytes]]) -> None:
    """Send customers as soon as the shop answers; return when told to stop or when the server has ended."""
    while not _let_go() and children[0].poll() is None:
        if len(children) == 1 and _answers(options.port):
            children.append(_start_traffic(options))
            (options.directory / READY_FILE).touch()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo_app.supervisor")
    parser.add_argument("--directory", type=Path, required=True, help="a private directory to work in")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rps", default="40")
    parser.add_argument("--for", default="30m", dest="duration")
    return parser.parse_args(arguments)


def _prepare_data(directory: Path) -> str:
    """Return the URL of a database with the shop's data.

    Without `DATABASE_URL` that is a copy of the seeded file, so that what this run's customers buy doesn't
    change what the next run shows.
    """
    if url := os.environ.get("DATABASE_URL"):
        return url  # the first worker fills it
    seeded, copy = files.database_file(), directory / "shop.sqlite3"
    if not seeded.exists():
        # Not in this process: SQLAlchemy would take a second to import each time, to be used once.
        subprocess.run([sys.executable, "-m", "demo_app.seed"], stdin=subprocess.DEVNULL, check=True)
    files.copy_file(seeded, copy)
    return f"sqlite+aiosqlite:///{copy}"


def _start_server(options: argparse.Namespace, url: str) -> subprocess.Popen[bytes]:
    address = ["--host", "127.0.0.1", "--port", str(options.port)]
    command = ["uvicorn", "demo_app.app:app", *address, "--workers", str(options.workers)]
    return _start([*command, "--no-access-log", "--timeout-graceful-shutdown", "1"], {"DATABASE_URL": url})


def _start_traffic(options: argparse.Namespace) -> subprocess.Popen[bytes]:
    url = f"http://127.0.0.1:{options.port}"
    return _start(["demo_app.traffic", url, "--rps", options.rps, "--for", options.duration], {})


def _start(module: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Run a module in this process group, with this process's output; the pipe stays here."""
    return subprocess.Popen(
        [sys.executable, "-m", *module], stdin=subprocess.DEVNULL, env={**os.environ, **env}
    )


def _let_go() -> bool:
    """Wait for a moment; say whether the other end of stdin was closed in it."""
    readable, _, _ = select.select([0], [], [], POLL_S)
    return bool(readable) and not os.read(0, 1024)


def _answers(port: int) -> bool:
    """Ask for /healthz in a way that can't hang."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    return False


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    """Ask all children to end, the customers first; what doesn't is killed with the process group."""
    for child in reversed(children):
        child.terminate()
    deadline = time.monotonic() + STOP_S
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))


def _leave(signal_number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + signal_number)


if __name__ == "__main__":
    main()
