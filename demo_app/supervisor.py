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
import tempfile
import time
import traceback
from pathlib import Path
from types import FrameType

from demo_app import files, postgres
from demo_app.faults.switches import SWITCHES, written
from demo_app.upstreams import SERVICES

POLL_S = 0.1
STOP_S = 3.0
"""How long the server may take to end by itself …"""
DATABASE_STOP_S = 1.5
"""… and its database's after it: who started the demo waits for longer than both take."""
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
    database = _Database(options)
    try:
        _tell_faults(options)
        url = database.prepare()
        children.append(_start_upstreams())
        server = _start_server(options, url)
        children.append(server)
        _serve(options, server, children)
        if server.poll() is None:
            # Only then: the log of a server that ended by itself is what its starter wants to read.
            shutil.rmtree(options.directory, ignore_errors=True)
    except Exception:  # noqa: BLE001 - the end below leaves nobody to print it
        traceback.print_exc()
    finally:
        _stop(children)
        database.end()
        os.killpg(0, signal.SIGKILL)


def _tell_faults(options: argparse.Namespace) -> None:
    """Have a file by which all that is started below knows what is on, and can be told otherwise."""
    file = options.directory / "faults"
    file.write_text(written(SWITCHES.modes) + "\n")
    os.environ |= {"SHOP_FAULTS_FILE": str(file), "SHOP_WORKERS": str(options.workers)}


def _serve(
    options: argparse.Namespace, server: subprocess.Popen[bytes], children: list[subprocess.Popen[bytes]]
) -> None:
    """Send customers as soon as the shop answers; return when told to stop or when the server has ended."""
    while not _let_go() and server.poll() is None:
        if children[-1] is server and _answers(options.port):
            children.append(_start_traffic(options))
            (options.directory / READY_FILE).touch()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo_app.supervisor")
    parser.add_argument("--directory", type=Path, required=True, help="a private directory to work in")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rps", default="40")
    parser.add_argument("--for", default="30m", dest="duration")
    parser.add_argument(
        "--postgres", action="store_true", help="a PostgreSQL of its own, unless DATABASE_URL"
    )
    parser.add_argument("--chosen", action="store_true", help="send customers to the faults that are on")
    return parser.parse_args(arguments)


class _Database:
    """Where this run's data is."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._server: subprocess.Popen[bytes] | None = None
        self._base: Path | None = None

    def prepare(self) -> str:
        """Return the URL of a database with the shop's data, or one that the first worker fills.

        Without `DATABASE_URL` and a server of its own that is a copy of the seeded file, so that what this
        run's customers buy doesn't change what the next run shows.
        """
        if url := os.environ.get("DATABASE_URL"):
            return url
        if self._options.postgres:
            # Not below the directory of this run, which the server's user may not pass.
            self._base = Path(tempfile.mkdtemp(prefix="perftui-demo-pg-", dir="/tmp"))
            most = 16 * self._options.workers + 16
            self._server, url = postgres.start(self._base, ("-c", f"max_connections={most}"))
            return url
        seeded, copy = files.database_file(), self._options.directory / "shop.sqlite3"
        if not seeded.exists():
            # Not in this process: SQLAlchemy would take a second to import each time, to be used once.
            subprocess.run([sys.executable, "-m", "demo_app.seed"], stdin=subprocess.DEVNULL, check=True)
        files.copy_file(seeded, copy)
        return f"sqlite+aiosqlite:///{copy}"

    def end(self) -> None:
        """End its server, and remove what it has written."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # at once, clients or not
            try:
                self._server.wait(DATABASE_STOP_S)
            except subprocess.TimeoutExpired:
                self._server.kill()
        if self._base is not None:
            shutil.rmtree(self._base, ignore_errors=True)


def _start_upstreams() -> subprocess.Popen[bytes]:
    """Start what the shop calls, and say by which ports."""
    ports = []
    with contextlib.ExitStack() as held:
        for _ in SERVICES:  # all at once, so that they are different ones
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(str(probe.getsockname()[1]))
    os.environ["SHOP_UPSTREAMS"] = " ".join(ports)
    return _start(["demo_app.upstreams", *ports], {})


def _start_server(options: argparse.Namespace, url: str) -> subprocess.Popen[bytes]:
    address = ["--host", "127.0.0.1", "--port", str(options.port)]
    command = ["uvicorn", "demo_app.app:app", *address, "--workers", str(options.workers)]
    return _start([*command, "--no-access-log", "--timeout-graceful-shutdown", "1"], {"DATABASE_URL": url})


def _start_traffic(options: argparse.Namespace) -> subprocess.Popen[bytes]:
    url = f"http://127.0.0.1:{options.port}"
    chosen = ["--chosen"] if options.chosen else []
    return _start(["demo_app.traffic", url, "--rps", options.rps, "--for", options.duration, *chosen], {})


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
