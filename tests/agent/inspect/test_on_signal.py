"""Stacks that a process writes itself when it gets a signal, and who may have it write them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from perftui_agent.inspect.dump import take_dump
from perftui_agent.inspect.on_signal import FIRST, SIGNALS, SignalledStacks, handler_of
from perftui_agent.inspect.pyspy import PySpy
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.registration import Registration
from perftui_agent.wire.stacks_on_signal import (
    NotWrittenError,
    Written,
    limits_of,
    read_written,
    written_stacks,
)
from tests.agent.inspect.processes import StandIn, eventually, on_agent_thread, started, stop

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals of Linux")

LISTENS = """\
import re, signal, socket, sys, threading, time
from pathlib import Path
from perftui_agent.inspect.on_signal import SignalledStacks
from perftui_agent.serve.introduction import introduce
from perftui_agent.settings import Settings
from perftui_agent.wire.registration import Registration, encode_registration

stacks, place = SignalledStacks(), Path(__file__).with_suffix(".stacks")

door = socket.socket(socket.AF_UNIX)
door.bind(str(place.with_suffix(".sock")))
door.listen()

def answer():
    while True:
        door.accept()[0].send(b"HTTP/1.1 426 Upgrade Required")

def tell():
    told = stacks.look_after(place)
    worker = introduce("shop", "", 0.0, Settings()).worker
    said = Registration(wire=1, worker=worker, socket=door.getsockname(), stacks=told)
    print(encode_registration(said).decode(), flush=True)
"""

HOLDS_THE_GIL = """
threading.Thread(target=answer, daemon=True).start()
def catastrophic():
    re.match("(a+)+$", "a" * 60 + "b")
tell()
"""

DENIED = "import sys; sys.exit('Permission Denied: Try running again with elevated permissions')"


@contextlib.contextmanager
def listening(code: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Registration]]:
    """Run a program, and give what it first tells of itself."""
    path = folder / "program.py"
    path.write_text(LISTENS + code)
    with started([sys.executable, str(path)], ready=False) as process:
        yield process, next_told(process)


def next_told(process: subprocess.Popen[bytes]) -> Registration:
    assert process.stdout is not None
    return msgspec.json.decode(process.stdout.readline(), type=Registration)


def asked(registration: Registration) -> Written:
    return asyncio.run(written_stacks(registration))


def until_it_is_silent(registration: Registration) -> None:
    """Wait until a program that has told of itself does what it was made for."""

    def silent() -> bool:
        with contextlib.suppress(NotWrittenError):
            return bool(asked(registration))
        return False

    eventually(silent)


def functions(written: Written) -> dict[bool, list[list[str]]]:
    """Return the functions of each thread, innermost first, by whether it is the main one."""
    found: dict[bool, list[list[str]]] = {True: [], False: []}
    for thread in written.threads:
        found[thread.is_main].append([frame.function for frame in thread.frames])
    return found


@pytest.mark.parametrize("on", ["the main thread", "another thread"])
def test_the_line_that_holds_the_gil_is_told_though_nothing_of_python_can_run(
    tmp_path: Path, on: str
) -> None:
    """Again and again, by several who ask at once, and the process goes on."""
    run = "catastrophic()" if on == "the main thread" else "threading.Thread(target=catastrophic).start()"
    with listening(f"{HOLDS_THE_GIL}{run}\nthreading.Event().wait()\n", tmp_path) as (process, told):
        until_it_is_silent(told)

        async def ask_at_once() -> list[Written]:
            return await asyncio.gather(*(written_stacks(told) for _ in range(3)))

        answers = [*asyncio.run(ask_at_once()), asked(told)]
        for answer in answers:
            stacks = functions(answer)[on == "the main thread"]
            assert any("catastrophic" in stack for stack in stacks), answer
            (asked_first,) = (thread for thread in answer.threads if thread.got_signal)
            assert asked_first.is_main == (on == "the main thread"), "the thread that holds the GIL writes"
            assert not answer.cut
        assert process.poll() is None
        assert os.stat(tmp_path / "program.stacks").st_size == 0, "what has been read is not kept"


def test_a_dump_that_may_not_trace_falls_back_to_the_signal_and_says_why(
    tmp_path: Path, stand_in: StandIn
) -> None:
    """The thread of the loop has its name, each line its code, and what is not known is not said."""
    with listening(f"{HOLDS_THE_GIL}catastrophic()\n", tmp_path) as (process, told):
        until_it_is_silent(told)
        spy = PySpy(stand_in(DENIED))
        dump = on_agent_thread(
            lambda: take_dump("d1", process.pid, taken_by=os.getpid(), spy=spy, registration=told)
        )

    assert isinstance(dump, Dump), dump
    main = dump.threads[0]
    assert (dump.method, dump.taken_by, main.name, main.is_main) == (
        "faulthandler",
        os.getpid(),
        "MainThread",
        True,
    )
    assert dump.note.startswith(f"written on a signal: tracing pid {process.pid} is not permitted (")
    (line,) = (frame.source for frame in main.frames if frame.function == "catastrophic")
    assert line == 're.match("(a+)+$", "a" * 60 + "b")'


def test_a_process_that_does_not_listen_is_sent_nothing_and_lives(tmp_path: Path) -> None:
    """Its signal would end it: nor is it sent to another life of the same pid, or to one that is stopped."""
    with listening(
        "tell()\nsys.stdin.readline()\nstacks.end()\ntell\nprint('', flush=True)\ninput()\n", tmp_path
    ) as (
        process,
        told,
    ):
        other_life = msgspec.structs.replace(
            told, worker=msgspec.structs.replace(told.worker, start_ticks=told.worker.start_ticks + 1)
        )
        elsewhere = msgspec.structs.replace(
            told, worker=msgspec.structs.replace(told.worker, pid_namespace="1")
        )
        with pytest.raises(NotWrittenError, match="it is gone"):
            asked(other_life)
        with pytest.raises(NotWrittenError, match="not of this place"):
            asked(elsewhere)
        stop(process.pid)
        with pytest.raises(NotWrittenError, match="it is stopped"):
            asked(told)
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        with pytest.raises(NotWrittenError, match="does not listen to its signal any more"):
            asked(told)
        assert process.poll() is None


def test_a_signal_that_the_app_takes_is_the_apps(tmp_path: Path) -> None:
    """One that it has is passed over; one that it takes later is left to it, and never sent again."""
    taken = f"signal.SIGRTMIN + {FIRST}"
    with listening(
        f"""
mine = lambda *_: None
signal.signal({taken}, mine)
tell()
signal.signal({taken} + 1, mine)
tell()
stacks.end()
print([signal.getsignal({taken} + n) is mine for n in range(3)], flush=True)
input()
""",
        tmp_path,
    ) as (process, first):
        second = next_told(process)
        assert process.stdout is not None
        assert first.stacks is not None
        assert second.stacks is not None
        least = signal.SIGRTMIN + FIRST
        assert (first.stacks.signal, second.stacks.signal) == (least + 1, least + 2)
        assert process.stdout.readline() == b"[True, True, False]\n"


def test_promise_15_an_app_that_takes_signal_after_signal_costs_one_descriptor(tmp_path: Path) -> None:
    """Each is left to it, and may call what was there before; the files that were written to are closed."""
    program = tmp_path / "program.py"
    program.write_text(
        LISTENS
        + """
import os
mine = lambda *_: None
before = set(os.listdir("/proc/self/fd"))
numbers = []
for _ in range(4):
    numbers.append(stacks.look_after(place).signal)
    signal.signal(numbers[-1], mine)
print(len(set(numbers)))
stacks.look_after(place)
stacks.end()
left = set(os.listdir("/proc/self/fd")) - before
print(len(left))
print([os.readlink(f"/proc/self/fd/{number}") for number in left])
print(all(signal.getsignal(number) is mine for number in numbers))
"""
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["4", "1", "['/dev/null']", "True"], done.stderr


def test_a_signal_that_the_app_sets_back_to_the_default_ends_nobody(tmp_path: Path) -> None:
    """Taken and given back, or set back at once: who is told of it listens to it, and lives when it comes."""
    with listening(
        """
tell()

def sent():
    told = stacks.look_after(place)
    signal.raise_signal(told.signal)
    return told.signal, "File" in place.read_text()

first = sent()
signal.signal(first[0], lambda *_: None)
stacks.look_after(place)
signal.signal(first[0], signal.SIG_DFL)
stacks.end()
again = sent()
signal.signal(again[0], signal.SIG_DFL)
print(first == again == sent(), flush=True)
input()
""",
        tmp_path,
    ) as (process, _):
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"


def test_where_all_signals_are_taken_it_is_said_and_no_file_is_made(tmp_path: Path) -> None:
    """Nothing is taken from anybody."""
    numbers = range(signal.SIGRTMIN + FIRST, signal.SIGRTMIN + FIRST + SIGNALS)
    former = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        stacks = SignalledStacks()
        assert stacks.look_after(tmp_path / "w.stacks") is None
        assert stacks.status == "off: the app has all signals from SIGRTMIN+5 to +14"
        assert not any(tmp_path.iterdir())
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def test_its_file_is_private_and_made_again_where_it_is_removed(tmp_path: Path) -> None:
    """There or elsewhere; at the end the signal is as it was before, and no descriptor is left."""
    before = os.listdir("/proc/self/fd")
    stacks = SignalledStacks()
    first = stacks.look_after(tmp_path / "w.stacks")
    assert first is not None
    assert stat.S_IMODE(os.stat(first.path).st_mode) == 0o600
    assert handler_of(first.signal) != 0
    os.unlink(first.path)
    again = stacks.look_after(tmp_path / "w.stacks")
    assert again == first
    moved = stacks.look_after(tmp_path / "elsewhere.stacks")
    assert moved is not None
    os.kill(os.getpid(), moved.signal)
    assert "test_its_file_is_private" in Path(moved.path).read_text()
    stacks.end()
    assert handler_of(first.signal) == 0
    assert os.listdir("/proc/self/fd") == before


def test_a_file_that_somebody_else_has_put_there_is_not_written_to(tmp_path: Path) -> None:
    """Neither by the worker, whose path would lead elsewhere, nor by who asks."""
    target = tmp_path / "precious"
    target.write_text("precious")
    os.symlink(target, tmp_path / "w.stacks")
    with pytest.raises(OSError, match="symbolic links"):
        SignalledStacks().look_after(tmp_path / "w.stacks")
    with listening("tell()\ninput()\n", tmp_path) as (_, told):
        os.replace(tmp_path / "w.stacks", tmp_path / "program.stacks")
        with pytest.raises(NotWrittenError, match="can't be asked by a signal"):
            asked(told)
    assert target.read_text() == "precious"


def test_one_whose_agent_answers_is_not_asked(tmp_path: Path) -> None:
    """Stacks are read without the GIL: threads that run Python meanwhile would end the process some day."""
    with listening(
        """
def work():
    while True:
        sum(each for each in range(9))
for target in (work, work, work, work, answer):
    threading.Thread(target=target, daemon=True).start()
tell()
input()
""",
        tmp_path,
    ) as (process, told):
        for _ in range(20):
            with pytest.raises(NotWrittenError, match="its own agent answers"):
                asked(told)
        assert process.poll() is None


def test_actions_that_are_switched_off_listen_to_no_signal(tmp_path: Path, stand_in: StandIn) -> None:
    """Such a worker is asked for nothing: the refusal of the rung above stands, and says so."""
    with listening("tell()\ninput()\n", tmp_path) as (process, told):
        silent = msgspec.structs.replace(told, stacks=None)
        refusal = on_agent_thread(
            lambda: take_dump("d1", process.pid, taken_by=1, spy=PySpy(stand_in(DENIED)), registration=silent)
        )
    assert isinstance(refusal, Refusal)
    assert (
        refusal.reason == f"tracing pid {process.pid} is not permitted; by a signal: it listens to no signal"
    )


def test_of_what_was_written_twice_the_last_is_read() -> None:
    """A hundred threads are cut, the main one is the last; a thread that came meanwhile is of the second."""

    def stack(ident: int, function: str, who: str = "Thread") -> str:
        return f'{who} 0x{ident:016x} (most recent call first):\n  File "a.py", line 1 in {function}\n\n'

    first = stack(7, "first") + stack(1, "first", "Current thread")
    second = stack(8, "second") + stack(7, "second") + stack(1, "second", "Current thread")
    for before, main_thread in ((first, 1), (stack(7, "first") + "...\n", 1), (stack(8, "first"), 0)):
        written = read_written(before + second, main_thread)
        assert [thread.thread_id for thread in written.threads] == [8, 7, 1]
        assert {thread.frames[0].function for thread in written.threads} == {"second"}
        assert not written.cut


def test_what_is_written_is_read_whatever_the_names() -> None:
    """Escapes, a stack that is cut, a Python that tells names, and lines that are none of it."""
    deep = "".join('  File "a.py", line 1 in again\n' for _ in range(100))
    written = read_written(
        "Thread 0x00000000000000ff [AnyIO worker] (most recent call first):\n"
        f"{deep}  ...\n"
        "\n"
        "Current thread 0x0000000000000001 (most recent call first):\n"
        "  Garbage-collecting\n"
        '  File "/caf\\xe9/\\u4e2d.py", line 3 in "odd" in name\n'
        "  File ???, line ??? in ???\n"
        "...\n",
        main_thread=1,
    )
    first, second = written.threads
    assert (first.thread_id, first.name, first.cut, len(first.frames)) == (255, "AnyIO worker", True, 100)
    assert [*second.frames[0]] == ['"odd" in name', "/café/中.py", 3]
    assert [*second.frames[1]] == ["???", "???", 0]
    assert (second.is_main, second.got_signal) == (True, True)
    assert limits_of(written) == [
        "no more than 100 threads are written, and there may be more",
        "1 stacks are deeper than the 100 frames that are written",
    ]
