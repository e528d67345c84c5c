"""Stacks in the shape of a dump."""

from __future__ import annotations

import os
import threading

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from perftui_agent.inspect.pyspy import Finished
from perftui_agent.inspect.spy_output import Failure, SpyFrame, SpyThread, read_threads
from perftui_agent.inspect.stacks import (
    MAX_FRAMES_IN_ALL,
    Stack,
    fitted,
    kept,
    own_threads,
    thread_dumps,
    wanted_lines,
)
from perftui_agent.inspect.text import printable
from perftui_agent.wire.codec import encode
from perftui_agent.wire.dumps import Dump, ThreadDump


def thread(
    number: int, depth: int = 1, *, name: str = "t", active: bool = False, gil: bool = False
) -> SpyThread:
    frames = [SpyFrame(f"f{level}", "/app/m.py", level) for level in range(depth)]
    return SpyThread(1, number, frames, thread_name=name, os_thread_id=number, active=active, owns_gil=gil)


def dump_of(threads: list[ThreadDump]) -> Dump:
    return Dump(id="1", pid=1, taken_at=0, took_ns=0, taken_by=1, threads=threads)


def test_order() -> None:
    """The main thread comes first, then the GIL's holder, then what runs, then the oldest."""
    newest_first = [thread(6), thread(5, active=True), thread(4, gil=True, active=True), thread(3), thread(1)]

    assert [stack.thread.thread_id for stack in kept(newest_first)] == [1, 4, 5, 3, 6]


def test_shims_dropped() -> None:
    """Frames of the interpreter's own making are dropped; real frames marked as entries stay."""
    frames = [SpyFrame("f", "/m.py", 1), SpyFrame("<shim>", "<shim>", 0), SpyFrame("<module>", "/m.py", 2)]
    (stack,) = kept([SpyThread(1, 1, frames)])

    assert ([frame.name for frame in stack.frames], stack.cut) == (["f", "<module>"], 0)


def test_deep() -> None:
    """Of a stack of more than 200 frames the innermost 150 and the outermost 50 are kept."""
    (stack,) = kept([thread(1, depth=1000)])

    assert [frame.line for frame in stack.frames] == [*range(150), *range(950, 1000)]
    assert stack.cut == 800
    (exact,) = kept([thread(1, depth=200)])
    assert (len(exact.frames), exact.cut) == (200, 0)


def test_deep_and_many() -> None:
    """The more threads, the fewer frames of each, so that a dump is a message."""
    stacks = kept([thread(number, depth=300) for number in range(500, 0, -1)])

    assert sum(len(stack.frames) for stack in stacks) <= MAX_FRAMES_IN_ALL
    assert {len(stack.frames) + stack.cut for stack in stacks} == {300}


def _wanted(stacks: list[Stack]) -> dict[str, set[int]]:
    return wanted_lines(each.frames for each in stacks)


def test_fitted() -> None:
    """A dump over the limit loses its lines of code first, and then its last threads."""
    stacks = kept([thread(number, depth=10) for number in range(8, 0, -1)])
    lines = {(file, line): "x" * 100 for file, numbers in _wanted(stacks).items() for line in numbers}
    whole = dump_of(thread_dumps(stacks, lines))
    size = len(encode(whole))

    assert fitted(whole, size) is whole
    bare = fitted(whole, size - 1)
    assert {frame.source for thread in bare.threads for frame in thread.frames} == {""}
    few = fitted(whole, size // 10)
    assert len(encode(few)) <= size // 10
    assert (len(few.threads) + few.threads_cut, few.threads[0].thread_id) == (8, 1)


def test_worst_text_fits() -> None:
    """500 threads with nothing but the longest of names still make a message."""
    frames = [SpyFrame("\U0001f40d" * 5000, f"/{n}" + "\U0001f40d" * 5000, n) for n in range(24)]
    threads = [SpyThread(1, number, frames, thread_name="t" * 5000) for number in range(500)]
    dump = fitted(dump_of(thread_dumps(kept(threads), {})))

    assert 0 < len(dump.threads) < 500
    assert len(dump.threads) + dump.threads_cut == 500


def test_own_threads() -> None:
    """A process sees each of its threads from inside, with its name and the place it is at."""
    release, ready = threading.Event(), threading.Event()

    def known_place() -> None:
        ready.set()
        release.wait()

    beside = threading.Thread(target=known_place, name="beside")
    beside.start()
    ready.wait()
    threads = {thread.thread_name: thread for thread in own_threads()}
    release.set()
    beside.join()

    assert "test_own_threads.<locals>.known_place" in [frame.name for frame in threads["beside"].frames]
    assert threads["beside"].os_thread_id == beside.native_id
    assert (threads["MainThread"].is_main, threads["MainThread"].os_thread_id) == (True, os.getpid())
    assert "test_own_threads" in [frame.name for frame in threads["MainThread"].frames]


def test_main_thread_in_a_container() -> None:
    """Where the numbers of threads are another namespace's, the main thread is known by its name."""
    one = SpyThread(4711, 1, [], thread_name="MainThread", os_thread_id=12)

    assert (one.is_main, msgspec.structs.replace(one, thread_name="other").is_main) == (True, False)


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_printable(text: str, limit: int) -> None:
    """Whatever comes in, what comes out is printable and within its limit."""
    clean = printable(text, limit)

    assert clean.isprintable()
    assert len(clean) <= limit
    assert printable(clean, limit) == clean


@given(st.binary(max_size=200))
def test_any_output(output: bytes) -> None:
    """Any bytes at all are either threads or a failure."""
    answer = read_threads(Finished(stdout=output))

    assert isinstance(answer, Failure)
