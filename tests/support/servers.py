"""Real servers for tests: `with running("demo_app.app:app", workers=4) as service: …`.

Each service has its own port, process group and private runtime directory, so tests may run side by
side. A service counts as started when every worker says that its start-up is complete and the socket
accepts; no request is sent for that, so tests may count requests exactly.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Literal

import httpx
import psutil

from perftui_agent.wire.registration import read_registrations
from tests.support import command

Server = Literal[
    "uvicorn", "gunicorn", "gunicorn-preload", "uvicorn-reload", "gunicorn-asgi", "hypercorn", "granian"
]
"""The server and how it makes its workers; `uvicorn-reload` always has one worker. `gunicorn` has uvicorn's
workers, `gunicorn-asgi` its own."""

Loop = Literal["asyncio", "uvloop", "auto"]

PORTS = (12_000, 22_000)
"""Below what Linux gives to clients; a cluster of Redis listens 10,000 higher as well."""

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0

_SILENT = frozenset({"gunicorn-asgi", "hypercorn", "granian"})
"""Servers whose workers don't say that they have started."""

_STARTED = ("Application startup complete", "'lifespan' protocol appears unsupported")
"""What uvicorn logs once per worker: with lifespan events, and for an app without them."""


_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "Connection": "close", "User-Agent": "tests"}


class _Connection(HTTPConnection):
    uds: str | None = None

    def connect(self) -> None:
        if self.uds is None:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.uds)


@dataclass(frozen=True, slots=True)
class Service:
    """A running server and everything a test wants to ask of it."""

    process: subprocess.Popen[bytes]
    port: int
    """0 when the app is served on a Unix socket."""
    uds: str | None
    directory: Path
    """Where it runs: files that an app names without a folder are there."""
    runtime_dir: Path
    log_file: Path
    env: dict[str, str]
    """The server's environment, runtime directory included: run the CLI with it."""
    workers: int
    server: Server
    supervised: bool
    """Whether `process` is a supervisor with the workers as children, or itself the only worker."""

    @property
    def target(self) -> str:
        """What `perftui connect` takes."""
        return f"unix:{self.uds}" if self.uds else f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """Without a trailing slash."""
        return "http://shop.invalid" if self.uds else f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        """Return a client for this service; close it."""
        # Else each client reads all certificates there are: 45 ms of CPU, for a connection without TLS.
        transport = httpx.HTTPTransport(uds=self.uds, verify=False)
        return httpx.Client(base_url=self.url, transport=transport, timeout=30, trust_env=False)

    def get(self, path: str, times: int = 1) -> list[httpx.Response]:
        """Get `path` that many times, one after the other, each on a new connection.

        One connection would stay with one worker; new ones are spread over all of them.
        """
        path = httpx.URL(path).raw_path.decode()
        return [self._got(path) for _ in range(times)]

    def _got(self, path: str) -> httpx.Response:
        """Get a path as httpx does, at a fifth of its CPU: some tests ask ten thousand times."""
        connection = _Connection("127.0.0.1", self.port, timeout=30)
        connection.uds = self.uds
        try:
            connection.request("GET", path, headers=_HEADERS)
            answer = connection.getresponse()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except (OSError, HTTPException) as error:
            raise httpx.ReadError(str(error)) from error
        finally:
            connection.close()

    def pids(self) -> list[int]:
        """Return the pids of the live workers, as the system knows them (agent or not)."""
        try:
            server = psutil.Process(self.process.pid)
            candidates = server.children() if self.supervised else [server]
        except psutil.NoSuchProcess:
            return []
        return sorted(candidate.pid for candidate in candidates if _is_worker(candidate))

    def registered_pids(self) -> list[int]:
        """Return the pids whose agents registered in the runtime directory, and said where they listen."""
        entries = [entry for _, entry in read_registrations(self.runtime_dir)]
        return sorted(entry.worker.pid for entry in entries if entry.tcp or entry.unix)

    def wait_registered(self, workers: int | None = None) -> list[int]:
        """Wait until the agents of all live workers (or of `workers` of them) are registered."""
        wanted = self.workers if workers is None else workers
        wait_until(lambda: len(self.registered_pids()) >= wanted, f"{wanted} agents to register", self.log)
        return self.registered_pids()

    def perftui(self, *args: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the real CLI with `args` in this service's environment; name the target yourself."""
        return command.run(*args, env=self.env, timeout_s=timeout)

    def log(self) -> str:
        """Return all the server has printed."""
        return self.log_file.read_text(errors="replace")


@contextlib.contextmanager
def running(
    app: str = "demo_app.app:app",
    *,
    server: Server = "uvicorn",
    workers: int = 4,
    loop: Loop = "asyncio",
    env: Mapping[str, str] | None = None,
    uds: str | None = None,
    cwd: Path | None = None,
    options: Sequence[str] = (),
    before: Sequence[str] = (),
) -> Iterator[Service]:
    """Serve `app` (`package.module:name`, or `/path/to/module.py[:name]`) and stop it at the end.

    `options` are further ones for the server, `before` a command that starts the server's. `cwd` is the
    server's directory and import root: by default that of the module, or an empty one.
    """
    base = private_dir()
    try:
        module_dir, app = _split(app)
        directory = cwd or module_dir or base
        runtime_dir = base / "run"
        runtime_dir.mkdir(mode=0o700)
        server_env = _environment(runtime_dir, module_dir, env or {})
        port = 0 if uds else free_port()
        log_file = base / "server.log"
        words = [*before, *_command(app, server, workers, loop, port, uds), *options]
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                words,
                cwd=directory,
                env=server_env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        count = 1 if server == "uvicorn-reload" else workers
        supervised = server != "uvicorn" or workers > 1
        service = Service(
            process, port, uds, directory, runtime_dir, log_file, server_env, count, server, supervised
        )
        try:
            _wait_started(service)
            yield service
        finally:
            _stop(process)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def write_app(directory: Path, source: str, name: str = "app") -> str:
    """Write `source`, dedented, as a module into `directory`; return what `running` takes.

    The module must have an `app`: `running(write_app(tmp_path, '''app = FastAPI()…'''))`.
    """
    path = directory / f"{name}.py"
    path.write_text(textwrap.dedent(source))
    return f"{path}:app"


def free_port() -> int:
    """Return a TCP port of the loopback that nobody has.

    None of those that the system gives to clients: until the server listens, hundreds of them come and go.
    """
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def private_dir() -> Path:
    """Make a directory of mode 0700 with a short name: Unix socket paths have to fit into 100 bytes."""
    return Path(tempfile.mkdtemp(prefix="ptui-", dir="/tmp"))


def wait_until(
    condition: Callable[[], bool],
    what: str,
    evidence: Callable[[], str] = str,
    timeout_s: float = START_TIMEOUT_S,
) -> None:
    """Poll until `condition` holds; fail with `what` and the `evidence` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    looked_at = time.monotonic()
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}\n{evidence()}")
        # Who looks long, as at boxes or by a command, looks more seldom: the others need the processor.
        time.sleep(min(max(0.02, time.monotonic() - looked_at), 0.5))
        looked_at = time.monotonic()


def alive_in_group(pgid: int) -> list[psutil.Process]:
    """Return the processes of a process group that still run (the dead that nobody reaped don't)."""
    alive = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == pgid and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive


def is_alive(process: psutil.Process) -> bool:
    """Say whether this very process still runs, zombies excluded."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _split(app: str) -> tuple[Path | None, str]:
    """Split `/path/to/module.py:name` into its directory and `module:name`."""
    path, _, name = app.partition(":")
    if not path.endswith(".py"):
        return None, app
    return Path(path).resolve().parent, f"{Path(path).stem}:{name or 'app'}"


def _environment(runtime_dir: Path, module_dir: Path | None, extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without settings of perftui, and with the test's own."""
    ambient = {key: value for key, value in os.environ.items() if not key.startswith(("PERFTUI_", "SHOP_"))}
    if module_dir:
        paths = [str(module_dir), *filter(None, [ambient.get("PYTHONPATH")])]
        ambient["PYTHONPATH"] = os.pathsep.join(paths)
    return ambient | {"PERFTUI_RUNTIME_DIR": str(runtime_dir), "PYTHONUNBUFFERED": "1"} | dict(extra)


def _command(app: str, server: Server, workers: int, loop: Loop, port: int, uds: str | None) -> list[str]:
    if server == "hypercorn":
        bind = f"unix:{uds}" if uds else f"127.0.0.1:{port}"
        return [sys.executable, "-m", "hypercorn", "-w", str(workers), "-b", bind, app]
    if server == "granian":
        options = ["--interface", "asgi", "--port", str(port), "--workers", str(workers)]
        return [sys.executable, "-m", "granian", *options, app]
    if server.startswith("gunicorn"):
        # uvicorn-worker names its loops by worker class; its `auto` takes uvloop if it is there.
        kind = "uvicorn_worker." + ("UvicornH11Worker" if loop == "asyncio" else "UvicornWorker")
        kind = "asgi" if server == "gunicorn-asgi" else kind
        bind = f"unix:{uds}" if uds else f"127.0.0.1:{port}"
        options = ["-k", kind, "-w", str(workers), "-b", bind, "--no-control-socket"]
        options += ["--log-level", "info", "--graceful-timeout", "3"]
        options += ["--preload"] if server == "gunicorn-preload" else []
        return [sys.executable, "-m", "gunicorn", *options, app]
    options = ["--uds", uds] if uds else ["--host", "127.0.0.1", "--port", str(port)]
    options += ["--reload"] if server == "uvicorn-reload" else ["--workers", str(workers)]
    options += ["--loop", loop, "--log-level", "info", "--timeout-graceful-shutdown", "3"]
    return [sys.executable, "-m", "uvicorn", *options, app]


def _wait_started(service: Service) -> None:
    """Wait until every worker has started and the socket accepts, or fail with the server's log.

    Where no worker says that it has, the socket alone tells.
    """

    def started() -> bool:
        if service.process.poll() is not None:
            raise AssertionError(f"the server ended with {service.process.returncode}\n{service.log()}")
        if service.server in _SILENT:
            return _accepts(service)
        log = service.log()
        return sum(log.count(line) for line in _STARTED) >= service.workers and _accepts(service)

    wait_until(started, f"{service.workers} workers to start", service.log)


def _accepts(service: Service) -> bool:
    family = socket.AF_UNIX if service.uds else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(5)
        return probe.connect_ex(service.uds or ("127.0.0.1", service.port)) == 0


def _is_worker(process: psutil.Process) -> bool:
    """Tell a worker from the resource tracker that multiprocessing starts beside the spawned ones."""
    try:
        return is_alive(process) and "resource_tracker" not in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server politely, then its whole group for sure, and see that nothing is left."""
    family = _family(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_TIMEOUT_S)
    wait_until(
        lambda: not alive_in_group(process.pid) and not any(map(is_alive, family)),
        "the server's processes to end",
        lambda: f"left: {[*alive_in_group(process.pid), *filter(is_alive, family)]}",
        STOP_TIMEOUT_S,
    )


def _family(pid: int) -> list[psutil.Process]:
    """Return every descendant, those in process groups of their own included."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
