"""Promises 3, 8 and 9 under real servers: what only they can show."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.support.servers import Server, Service, running, wait_until, write_app
from tests.support.stream import streaming

SLOW_APP = """
    import asyncio
    from fastapi import FastAPI, WebSocket
    from starlette.responses import StreamingResponse
    from perftui_agent import instrument

    app = instrument(FastAPI())

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(1)
        return "ok"

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def parts():
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.01)
        return StreamingResponse(parts())

    @app.get("/bytes")
    async def much() -> StreamingResponse:
        async def parts():
            for _ in range(1000):
                yield b"x" * 100_000
        return StreamingResponse(parts())

    @app.websocket("/ws")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)
"""

PLAIN_APP = """
    from fastapi import FastAPI
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id
"""

AGENT_RUN = (sys.executable, "-m", "perftui_agent", "run", "--")


@pytest.fixture(params=["h11", "httptools"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """One worker of uvicorn, with each of its ways to read HTTP."""
    with running(write_app(tmp_path, SLOW_APP), workers=1, options=["--http", request.param]) as service:
        yield service


@contextlib.contextmanager
def requesting(service: Service, path: str) -> Iterator[socket.socket]:
    """Send a request by hand, and hang up at the end of the block."""
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        yield connection


def test_promise_9_clients_that_leave_are_disconnected(service: Service) -> None:
    """Before the response, in the midst of a stream, in the midst of a large one that waits for them.

    None of them is a 5xx, none is lost, none is a latency, and none stays in flight.
    """
    with streaming(service) as stream:
        with requesting(service, "/slow"):
            stream.until(lambda seen: seen.last.in_flight == 1)
        with requesting(service, "/endless") as connection:
            connection.recv(2000)
            stream.until(lambda seen: seen.last.open_streams == 1)
        with requesting(service, "/bytes") as connection:
            connection.recv(2000)
        seen = stream.until_requests(3)
        for path in ("/slow", "/endless", "/bytes"):
            route = seen.routes[f"GET {path}"]
            assert (route.status.disconnected, route.status.total()) == (1, 1), path
            assert route.latency.count == 0
        assert seen.exceptions == []
        stream.until(lambda seen: seen.last.in_flight == seen.last.open_streams == 0)


def test_promise_9_open_websockets_are_counted(service: Service) -> None:
    """While they are open, under the real protocol; they make no row."""
    with streaming(service) as stream:
        with connect(_ws(service)) as one, connect(_ws(service)):
            one.send("hello")
            assert one.recv() == "hello"
            stream.until(lambda seen: seen.last.open_websockets == 2)
        seen = stream.until(lambda seen: seen.last.open_websockets == 0)
        assert seen.requests == {}


def _ws(service: Service) -> str:
    return f"ws://127.0.0.1:{service.port}/ws"


def test_promise_8_the_servers_root_path_is_in_no_label(tmp_path: Path) -> None:
    """`--root-path` says where the app is seen from outside; the label is the app's own."""
    app = write_app(tmp_path, SLOW_APP)
    with running(app, workers=1, options=["--root-path", "/prefix"]) as service, streaming(service) as stream:
        service.get("/items/7", times=3)
        assert stream.until_requests(3).requests == {"GET /items/{item_id}": 3}


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_without_code_every_worker_is_instrumented(tmp_path: Path, server: Server) -> None:
    """`python -m perftui_agent run -- …` before the server's command is all it takes."""
    app = write_app(tmp_path, PLAIN_APP)
    with running(app, server=server, workers=2, before=AGENT_RUN) as service:
        pids = service.wait_registered()
        assert pids == service.pids()
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(streaming(service, pid)) for pid in pids]
            service.get("/items/7", times=20)
            while sum(stream.seen.total for stream in streams) < 20:
                for stream in streams:
                    stream.frame()
            assert {label for stream in streams for label in stream.seen.requests} == {"GET /items/{item_id}"}
            assert sum(stream.seen.total for stream in streams) == 20


def test_without_code_nothing_is_done_when_the_agent_is_disabled(tmp_path: Path) -> None:
    """The same command serves the same app, with no agent in it."""
    app = write_app(tmp_path, PLAIN_APP)
    with running(app, workers=1, before=AGENT_RUN, env={"PERFTUI_ENABLED": "0"}) as service:
        assert service.get("/items/7")[0].text == "7"
        assert service.registered_pids() == []


def test_without_code_a_script_runs_as_it_is(tmp_path: Path) -> None:
    """Its arguments, its exit code, its own `sitecustomize`; the agent is imported with Starlette alone."""
    (tmp_path / "sitecustomize.py").write_text("print('customized')\n")
    (tmp_path / "script.py").write_text(
        textwrap.dedent(
            """
            import sys
            print(sys.argv[1:], "perftui_agent" in sys.modules)
            import starlette.applications
            print(hasattr(starlette.applications.Starlette, "_perftui_probe"))
            sys.exit(7)
            """
        )
    )
    result = subprocess.run(
        [*AGENT_RUN, sys.executable, "script.py", "--", "-x"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 7, result.stderr
    assert result.stdout.splitlines()[-3:] == ["customized", "['--', '-x'] False", "True"]


def test_without_code_a_bare_python_is_the_one_of_this_environment(tmp_path: Path) -> None:
    """With its packages, though the PATH leads to another one: an environment need not be activated."""
    (tmp_path / "script.py").write_text("import sys; print(sys.prefix)")
    elsewhere = tmp_path / "bin"
    elsewhere.mkdir()
    (elsewhere / "python").symlink_to(Path(sys.executable).resolve())
    result = subprocess.run(
        [*AGENT_RUN, "python", "script.py"],
        cwd=tmp_path,
        env={"PATH": str(elsewhere)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout.splitlines() == [sys.prefix], result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "usage"), (["run"], "usage"), (["run", "nothing"], "'nothing'")]
)
def test_without_code_a_wrong_command_is_said_in_one_line(arguments: list[str], said: str) -> None:
    """What is wrong, and what to type; exit code 2."""
    command = [sys.executable, "-m", "perftui_agent", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_promise_3_a_client_that_watches_holds_up_no_shutdown(tmp_path: Path) -> None:
    """A worker with a dashboard on it ends as soon as one without an agent does."""
    app = write_app(tmp_path, PLAIN_APP)
    took_s = {}
    for enabled in ("0", "1"):
        with contextlib.ExitStack() as opened:
            env = {"PERFTUI_ENABLED": enabled}
            service = opened.enter_context(running(app, workers=1, before=AGENT_RUN, env=env))
            if enabled == "1":
                opened.enter_context(streaming(service))
            service.get("/items/7")
            began = time.monotonic()
            service.process.terminate()
            service.process.wait(20)
            took_s[enabled] = time.monotonic() - began
    # A hundredth of that is usual; a machine may be busy, and 3 s are what the server gives its connections.
    assert took_s["1"] - took_s["0"] < 2


FAILING_APP = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from perftui_agent import instrument

    @asynccontextmanager
    async def lifespan(app):
        raise RuntimeError("no database")
        yield

    app = instrument(FastAPI(lifespan=lifespan))
"""


def test_promise_3_a_failed_startup_ends_as_without_the_agent(tmp_path: Path) -> None:
    """The same exit code and the same traceback, and nothing is left in the runtime directory."""
    write_app(tmp_path, FAILING_APP)
    runtime_dir = tmp_path / "run"
    runtime_dir.mkdir(mode=0o700)
    results = {
        enabled: subprocess.run(
            [sys.executable, "-m", "uvicorn", "app:app", "--port", "0"],
            cwd=tmp_path,
            env={"PERFTUI_ENABLED": enabled, "PERFTUI_RUNTIME_DIR": str(runtime_dir), "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for enabled in ("0", "1")
    }
    assert results["1"].returncode == results["0"].returncode == 3
    for result in results.values():
        assert "RuntimeError: no database" in result.stderr
    wait_until(lambda: not list(runtime_dir.iterdir()), "nothing to be left", timeout_s=5)


DEFAULT_TIMEOUT_APP = """
    import socket, threading
    socket.setdefaulttimeout(30)
    from fastapi import FastAPI
    from perftui_agent import instrument

    app = instrument(FastAPI())
    here, there = socket.socketpair()
    for end in (here, there):
        end.setblocking(True)

    @app.get("/read")
    def read() -> str:
        threading.Timer(0.05, there.sendall, [b"x"]).start()
        return here.recv(1).decode()
"""


def test_looking_changes_nothing_where_sockets_have_a_default_timeout(tmp_path: Path) -> None:
    """A blocking read still waits, and the supervisor's pipes to its workers do not break: nobody dies."""
    with running(write_app(tmp_path, DEFAULT_TIMEOUT_APP), workers=2) as service:
        service.wait_registered()
        pids = service.pids()
        time.sleep(3)  # until the agents have looked several times, and the supervisor has asked each worker
        assert [answer.status_code for answer in service.get("/read", times=6)] == [200] * 6
        assert service.pids() == pids
        assert "BlockingIOError" not in service.log()
