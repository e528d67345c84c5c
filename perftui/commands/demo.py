"""`perftui demo`: a shop with known faults, customers for it, and the dashboard on it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import click

from perftui.commands.arguments import WholeNumber
from perftui.commands.opening import dashboard_options, need_terminal, open_dashboard, settled
from perftui.config import Config
from perftui_agent.wire.registration import read_registrations, runtime_dir

NEEDED = ("aiosqlite", "cachetools", "fastapi", "greenlet", "sqlalchemy", "uvicorn")
"""What the extra `perftui[demo]` installs and the dashboard itself doesn't need."""

START_S = 90.0
"""How long the shop may take to answer; the first start makes its data."""
FOUND_S = 10.0
STOP_S = 10.0
"""More than the supervisor takes for the shop (3 s), its database (1.5 s) and what those have written."""
READY_FILE = "ready"

EXIT_IMPOSSIBLE = 2
EXIT_INTERRUPTED = 130


class DemoError(click.ClickException):
    """The demo can't be shown."""

    exit_code = EXIT_IMPOSSIBLE


@click.command()
@click.option("--headless", is_flag=True, help="Print the target instead of opening the dashboard on it.")
@click.option("--port", type=WholeNumber(1, 65535), help="The shop's port.  [default: a free one]")
@click.option("--workers", type=WholeNumber(1, 32), default=4, show_default=True, help="Worker processes.")
@click.option(
    "--rps",
    type=click.FloatRange(0, 500, min_open=True),
    default=40,
    show_default=True,
    help="Requests per second; a rush has 1.6 times as many.",
)
@click.option(
    "--for", "duration", default="30m", show_default=True, metavar="TIME", help="How long customers come."
)
@click.option(
    "--fault",
    metavar="KIND,…",
    help="Only these faults, by the kind of finding: none for a healthy shop, list for all there are.",
)
@dashboard_options
def demo(
    headless: bool,
    port: int | None,
    workers: int,
    rps: float,
    duration: str,
    fault: str | None,
    slow: bool,
    ascii_only: bool,
) -> None:
    """Start a demo shop with known faults and traffic, and open the dashboard on it.

    Everything it started ends with it. --fault near:KIND has what looks nearly like that fault, and is none.
    While it runs: curl -X PUT localhost:PORT/faults -d KIND,… (or none).
    """
    if fault == "list":
        _list_faults()
        return
    # Before anything is started: what is wrong in the settings is told at once.
    config = Config() if headless else settled()
    if not headless:
        need_terminal(instead="perftui demo --headless")
    _check_installed()
    _check_duration(duration)
    options = _checked_faults(fault, workers)
    port = _checked_port(port)
    options += ["--port", str(port), "--workers", str(workers), "--rps", str(rps), "--for", duration]
    with _ended_by_signals() as leave_to_dashboard, _shop(port, workers, options) as supervisor:
        if headless:
            click.echo(f"localhost:{port}")
            supervisor.wait()
            raise DemoError("the shop has ended by itself")
        leave_to_dashboard()
        code = open_dashboard([f"localhost:{port}"], config, slow=slow, ascii_only=ascii_only)
    sys.exit(code)


def _check_installed() -> None:
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        raise DemoError("the demo shop is not installed: pip install 'perftui[demo]'")


def _check_duration(duration: str) -> None:
    from demo_app.traffic import parse_duration  # noqa: PLC0415 - only now it is known to be installed

    try:
        parse_duration(duration)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from error


def _list_faults() -> None:
    from demo_app.faults.registry import FAULTS  # noqa: PLC0415 - as above

    width = max(map(len, FAULTS))
    for kind, fault in sorted(FAULTS.items()):
        needs = (
            f" (needs {', '.join(sorted(fault.needs - {'upstreams'}))})"
            if fault.needs - {"upstreams"}
            else ""
        )
        click.echo(f"{kind:{width}}  {fault.shows}{needs}")
        click.echo(f"{'':{width}}  near: {fault.near}")


def _checked_faults(fault: str | None, workers: int) -> list[str]:
    """Return what the supervisor is told of the faults; which they are is in everybody's environment."""
    if fault is None:
        return []
    from demo_app.faults.needs import refused, wants_postgresql  # noqa: PLC0415 - as above
    from demo_app.faults.switches import UnknownFaultError, parse, written  # noqa: PLC0415

    try:
        modes = parse(fault)
    except UnknownFaultError as error:
        raise DemoError(str(error)) from error
    if reason := refused(modes, workers):
        raise DemoError(reason)
    os.environ["SHOP_FAULTS"] = written(modes)
    return ["--chosen", *(["--postgres"] if wants_postgresql(modes) else [])]


def _checked_port(port: int | None) -> int:
    """Return `port` if the shop can have it, or a free one if None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port or 0))
        except OSError as error:
            raise DemoError(f"port {port} can't be had ({error.strerror}): leave out --port") from error
        bound: int = probe.getsockname()[1]
        return bound


@contextlib.contextmanager
def _shop(port: int, workers: int, told: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the shop and its customers below a supervisor that ends all of them when its stdin closes."""
    directory = Path(tempfile.mkdtemp(prefix="perftui-demo-"))
    options = ["--directory", str(directory), *told]
    with (directory / "shop.log").open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "demo_app.supervisor", *options],
            cwd=directory,  # `-m` looks there first, and the user's directory may hold an app of that name
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_ready(supervisor, directory)
        _wait_found(port, workers)
        yield supervisor
    finally:
        _end(supervisor)


def _wait_ready(supervisor: subprocess.Popen[bytes], directory: Path) -> None:
    """Return when the shop answers."""
    click.echo("starting the shop (the first time it makes its data, which takes some seconds) …", err=True)
    deadline = time.monotonic() + START_S
    while not (directory / READY_FILE).exists():
        if supervisor.poll() is not None or time.monotonic() > deadline:
            raise DemoError(f"the shop did not start: read {directory / 'shop.log'}")
        time.sleep(0.05)


def _wait_found(port: int, workers: int) -> None:
    """Return when all workers say that they serve `port`, which they do some moments after they answer.

    Gives up quietly: to say why a service can't be found is the dashboard's business.
    """
    deadline = time.monotonic() + FOUND_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            entries = [entry for _, entry in read_registrations(runtime_dir())]
            if sum(f"127.0.0.1:{port}" in entry.tcp for entry in entries) >= workers:
                return
        time.sleep(0.05)


def _end(supervisor: subprocess.Popen[bytes]) -> None:
    """Let go of the supervisor, which ends everything; help if it doesn't, or was killed itself."""
    if supervisor.stdin:
        supervisor.stdin.close()
    try:
        supervisor.wait(STOP_S)
    except subprocess.TimeoutExpired:
        click.echo("the shop does not end: killing it", err=True)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(supervisor.pid, signal.SIGKILL)
        supervisor.wait()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[Callable[[], None]]:
    """Have SIGTERM and SIGHUP end this process as ctrl+c does, with everything stopped first.

    Yields what puts the former handlers back: a dashboard has a terminal to restore and sees to signals
    itself, and if one kills it at once, the supervisor notices.
    """

    def leave(*_: int | FrameType | None) -> None:
        sys.exit(EXIT_INTERRUPTED)

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in watched}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield restore
    finally:
        restore()
