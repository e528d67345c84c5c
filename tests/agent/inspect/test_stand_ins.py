"""What becomes of a py-spy that fails, lies, floods or hangs; programs take its place."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perftui_agent.inspect import pyspy
from perftui_agent.inspect.dump import take_dump
from perftui_agent.inspect.pyspy import Finished, PySpy, find_py_spy
from perftui_agent.wire.dumps import Dump, Refusal
from tests.agent.inspect.processes import StandIn, children, on_agent_thread, python

THREAD = (
    '{"pid": 1, "thread_id": 1, "thread_name": "%s", "frames": [{"name": "f", "filename": "%s", "line": 1}]}'
)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[int]:
    with python("print('ready', flush=True); input()", tmp_path) as process:
        yield process.pid


def dump_by(binary: str, pid: int, pause_limit_s: float = 30.0) -> Dump | Refusal:
    spy = PySpy(binary, pause_limit_s=pause_limit_s)
    return on_agent_thread(lambda: take_dump("d1", pid, taken_by=os.getpid(), spy=spy))


def refusal_by(binary: str, pid: int, pause_limit_s: float = 30.0) -> Refusal:
    answer = dump_by(binary, pid, pause_limit_s)
    assert isinstance(answer, Refusal)
    return answer


def saying(text: str) -> str:
    return f"import sys; sys.stderr.write({text!r}); sys.exit(1)"


def test_hangs(target: int, stand_in: StandIn) -> None:
    """A py-spy that hangs is ended, and the refusal says so."""
    before = children()
    refusal = refusal_by(stand_in("import time; time.sleep(600)"), target, 0.3)

    assert refusal.reason == f"py-spy gave no answer about pid {target} in time and was ended"
    assert children() == before


def test_hangs_deaf(target: int, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A py-spy that hangs and doesn't hear its alarm is killed."""
    monkeypatch.setattr(pyspy, "_GRACE_S", 0.3)
    deaf = "import signal, time; signal.signal(signal.SIGALRM, signal.SIG_IGN); time.sleep(600)"
    before = children()
    refusal = refusal_by(stand_in(deaf), target, 0.3)

    assert refusal.reason.endswith("in time and was ended")
    assert children() == before


def test_hangs_after_the_answer(target: int, stand_in: StandIn) -> None:
    """A whole answer counts, though py-spy had to be ended after it."""
    hanging = f"import time; print('[{THREAD % ('a', 'b')}]', flush=True); time.sleep(600)"
    dump = dump_by(stand_in(hanging), target, 1.5)

    assert isinstance(dump, Dump)
    assert dump.threads[0].name == "a"


@pytest.mark.parametrize(
    "output",
    [
        "not json",
        "[]",
        "{}",
        "null",
        "[1]",
        "[" * 100_000,
        '[{"pid": 1}]',
        '[{"pid": 1, "thread_id": -1, "frames": []}]',
        '[{"pid": 1, "thread_id": 99999999999999999999999, "frames": []}]',
        '[{"pid": 1, "thread_id": 1, "frames": [{"name": "\\ud800", "filename": 1, "line": 1}]}]',
    ],
    ids=lambda output: output[:30],
)
def test_garbage(target: int, stand_in: StandIn, output: str) -> None:
    """Output that isn't what py-spy says is refused."""
    (refusal) = refusal_by(stand_in(f"print({output!r})"), target)

    assert refusal.reason == f"py-spy's answer about pid {target} can't be read"


def test_flood(target: int, stand_in: StandIn) -> None:
    """Output without bounds is cut off and refused."""
    refusal = refusal_by(stand_in(f"while True: print('[' + '{THREAD % ('a', 'b')},' * 1000)"), target)

    assert refusal.reason == f"the stacks of pid {target} are larger than a dump may be"


def test_complaint_unknown(target: int, stand_in: StandIn) -> None:
    """What py-spy says for the first time is passed on, in one clean line."""
    refusal = refusal_by(stand_in(saying("Error: the \x1b[31mmoon is full\nmore\n")), target)

    expected = f"py-spy's answer about pid {target} can't be read: Error: the [31mmoon is full"
    assert refusal.reason == expected


@pytest.mark.parametrize(
    "text",
    [
        "Permission Denied: Try running again with elevated permissions by going 'sudo env'",
        "Error: Failed to open\nCaused by:\n    0: Permission denied (os error 13)",
        "Error: Operation not permitted (os error 1)",
    ],
)
def test_permission(target: int, stand_in: StandIn, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal for want of permission says what would give it."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    refusal = refusal_by(stand_in(saying(text)), target)

    assert refusal.reason == f"tracing pid {target} is not permitted"
    assert refusal.advice == "add SYS_PTRACE to the container's securityContext.capabilities.add"


def test_just_starting(target: int, stand_in: StandIn, tmp_path: Path) -> None:
    """A process that was just starting is tried once more."""
    flaky = f"""\
import os, sys
if not os.path.exists({str(tmp_path / "tried")!r}):
    open({str(tmp_path / "tried")!r}, "w").close()
    sys.exit("Error: Failed to find python version from target process")
print('[{THREAD % ("main", "b")}]')
"""
    dump = dump_by(stand_in(flaky), target)

    assert isinstance(dump, Dump)
    assert (dump.method, dump.note, dump.threads[0].name) == ("py-spy", "", "main")


def test_missing(target: int) -> None:
    """Without a py-spy binary the refusal says how to get one."""
    refusal = refusal_by("/nowhere/py-spy", target)

    assert refusal.reason.startswith("py-spy can't be started here: [Errno 2] No such file")
    assert refusal.advice == "install it beside the agent: python -m pip install 'py-spy>=0.4.3'"


def test_not_executable(target: int, tmp_path: Path) -> None:
    """A binary that may not be executed isn't mistaken for a process that may not be traced."""
    binary = tmp_path / "py-spy"
    binary.write_bytes(b"\x7fELF of another machine")
    binary.chmod(0o755)
    refusal = refusal_by(str(binary), target)

    assert refusal.reason == "py-spy can't be started here: [Errno 8] Exec format error"


def test_not_installed(target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """That py-spy is not installed at all is told, too."""
    monkeypatch.setattr(pyspy, "find_py_spy", lambda: None)
    refusal = on_agent_thread(lambda: take_dump("d1", target, taken_by=os.getpid()))

    assert isinstance(refusal, Refusal)
    assert refusal.reason == "py-spy can't be started here: it is not installed"


def test_found() -> None:
    """py-spy is found beside the Python that the agent runs under."""
    found = find_py_spy()

    assert found is not None
    assert os.path.dirname(found) == os.path.dirname(sys.executable)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_inherits_nothing(target: int, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """py-spy gets neither the app's sockets, nor its terminal, nor its group, nor its secrets."""
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    told = """\
import os, json
def frame(name): return {"name": name, "filename": "", "line": 0}
frames = []
for fd in os.listdir("/proc/self/fd"):
    try: frames.append(frame(fd + " " + os.readlink("/proc/self/fd/" + fd).partition(":")[0]))
    except OSError: pass
frames.append(frame("leads its session" if os.getsid(0) == os.getpid() else "in the app's session"))
frames += [frame(name) for name in os.environ]
print(json.dumps([{"pid": 1, "thread_id": 1, "frames": frames}]))
"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        dump = dump_by(stand_in(told), target)

    assert isinstance(dump, Dump)
    names = {frame.function for frame in dump.threads[0].frames}
    assert {"0 /dev/null", "1 pipe", "2 pipe", "leads its session", "RUST_BACKTRACE"} <= names
    assert not any("socket" in name for name in names)
    assert "DATABASE_URL" not in names


def test_one_that_cannot_be_ended(target: int, stand_in: StandIn) -> None:
    """While a py-spy that even SIGKILL didn't end is there, no other is started."""
    with python("print('ready', flush=True); input()", Path(stand_in("")).parent, "other.py") as stuck:
        spy = PySpy(stand_in("print('[]')"))
        spy._lost = stuck

        async def run() -> Finished:
            return await spy.dump(target, nonblocking=False)

        finished = on_agent_thread(run)

    assert finished.stderr == f"cannot start py-spy: pid {stuck.pid}, the one before, can't be ended"
