"""What is said when there is nothing to look at: one sentence, and the next command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perftui.sources.absent import explain
from perftui.sources.discovery import Discovery, discover
from perftui.sources.target import TargetError, local_among, parse_live
from tests.support.servers import free_port

NOBODY = Discovery(())


@pytest.fixture
def port() -> Iterator[int]:
    """A port that somebody without an agent listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def why(text: str, discovery: Discovery = NOBODY) -> TargetError:
    return explain(local_among(parse_live([text]))[0], discovery)


def test_nothing_listens() -> None:
    """A port that nobody serves is said to be free, with the way to see what is there."""
    port = free_port()
    assert (
        str(why(f"localhost:{port}"))
        == f"nothing listens on localhost:{port}\nto see what is there: perftui ls"
    )


def test_something_listens_without_an_agent(port: int) -> None:
    """Whoever serves the port is named, with the line that would instrument it."""
    error = why(f"localhost:{port}")
    assert f"(pid {os.getpid()}), which has no perftui agent" in error.problem
    assert "instrument(app)" in error.advice


def test_the_registrations_cannot_be_read(tmp_path: Path, port: int) -> None:
    """A directory that others could write to is refused, by name, and with the mend."""
    tmp_path.chmod(0o777)
    discovery = discover([tmp_path])
    error = why(f"localhost:{port}", discovery)
    assert error.problem.startswith("the registrations can't be read:")
    assert str(tmp_path) in error.problem
    assert "sudo perftui ls" in error.advice


def test_another_host_is_answered_with_ssh() -> None:
    """An address that isn't this host's can't be local."""
    error = why("203.0.113.9:8000")
    assert "another host" in error.problem
    assert "ssh -t 203.0.113.9 perftui connect 8000" in error.advice


def test_a_socket_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path without a socket is told apart from one whose server has ended."""
    # This process listens, in which other tests may have left an agent's thread.
    monkeypatch.setattr("perftui.sources.absent.has_agent", lambda _: False)
    assert "there is no such socket" in why(f"unix:{tmp_path}/shop.sock").problem
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "shop.sock"))
        server.listen()
        assert "has no perftui agent" in why(f"unix:{tmp_path}/shop.sock").problem
    assert "its server has ended" in why(f"unix:{tmp_path}/shop.sock").problem


def test_a_process_without_an_agent() -> None:
    """A pid that runs is told apart from one that doesn't."""
    assert f"process {os.getpid()} (" in why(f"pid:{os.getpid()}").problem
    assert why(f"pid:{2**31 - 1}").problem == f"there is no process {2**31 - 1}"


def test_a_service_nobody_is_called() -> None:
    """A name that isn't there is answered with where to look."""
    assert why("service:shop").problem == "no service here is called shop"


def test_a_process_that_has_an_agent_is_not_said_to_have_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is registered somewhere else, or about to be again: where it looked, and where to look, is said."""
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(tmp_path))
    program = (
        "import socket, sys, threading\n"
        "from perftui_agent.inspect.ptrace import name_thread\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "local = socket.socket(socket.AF_UNIX)\n"
        "local.bind(sys.argv[1])\n"
        "local.listen()\n"
        "def live():\n"
        "    name_thread('perftui-agent')\n"
        "    print(server.getsockname()[1], flush=True)\n"
        "    input()\n"
        "threading.Thread(target=live).start()\n"
    )
    path, pipe = tmp_path / "app.sock", subprocess.PIPE
    command = [sys.executable, "-c", program, str(path)]
    elsewhere = {**os.environ, "PERFTUI_RUNTIME_DIR": "/srv/run"}
    for env, advice in ((None, "try once more"), (elsewhere, "PERFTUI_RUNTIME_DIR=/srv/run perftui ls")):
        with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            for error in (why(str(port)), why(f"unix:{path}"), why(f"pid:{process.pid}")):
                assert f"with a perftui agent, which is not registered in {tmp_path}" in error.problem
                assert advice in error.advice
            process.kill()
        path.unlink()
