"""Frames of other threads are read without a risk to the process, and nobody can see how."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import perftui_agent
from perftui_agent import foreign_frames
from perftui_agent.foreign_frames import current_frames, frames_of, locals_of, stack_of

BUSY = """
import gc, sys, threading, time
from perftui_agent.foreign_frames import current_frames, stack_of

watching = threading.get_ident()

def collecting(phase, _):
    # As any callback or finalizer of the app's may: it lets go of the GIL.
    if phase == "start" and threading.get_ident() == watching:
        time.sleep(0.001)

gc.callbacks.append(collecting)
gc.set_threshold(1)

# Frames of forty sizes, most of whose variables are unbound: what one leaves behind is no frame to another.
def source(size):
    unbound = "; ".join(f"v{each} = 1" for each in range(size)) or "pass"
    return f'''
def f{size}(left):
    if left < 0:
        {unbound}
    return functions[(left * 7 + {size}) % 40](left - 1) if left else None
'''

exec("".join(source(size) for size in range(40)))
functions = [globals()[f"f{size}"] for size in range(40)]

def work():
    turn = 0
    while True:
        turn += 1
        functions[turn % 40](5 + turn % 30)

for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
sys.setswitchinterval(1e-4)
until = time.monotonic() + 3
while time.monotonic() < until:
    kept = [frame for innermost in current_frames().values() for frame in stack_of(innermost)]
    time.sleep(0.0002)
    for frame in kept:
        frame.f_code.co_name, frame.f_lineno
print("lives")
"""


def test_a_process_outlives_being_looked_at_while_it_collects_garbage() -> None:
    """Read naively, as `frame.f_back`, it ends within a second on Python 3.11: by a segmentation fault."""
    done = subprocess.run(
        [sys.executable, "-c", BUSY], check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "lives\n", "")


@pytest.fixture(params=[True, False], ids=["collections on", "collections off"])
def collecting(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Have the collector on or off, and as it was afterwards."""
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


def test_the_collector_is_as_the_app_left_it(collecting: bool) -> None:
    """On or off: looking changes neither."""
    assert stack_of(sys._getframe())
    assert current_frames() is not None
    assert gc.isenabled() is collecting


def test_nobody_ever_sees_the_collector_switched_off() -> None:
    """Who reads it to restore it later would leave it off for good."""
    seen: set[bool] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            seen.add(gc.isenabled())

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=look)
    thread.start()
    try:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            for frame in current_frames().values():
                stack_of(frame)
    finally:
        ended.set()
        thread.join()
        sys.setswitchinterval(before)
    assert seen == {True}


def test_what_fails_leaves_the_collector_as_it_was(collecting: bool) -> None:
    """A step that raises is the caller's; the collector goes on."""

    def fail() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        foreign_frames._undisturbed(fail)
    assert gc.isenabled() is collecting


def _deep(left: int, at_the_end: Callable[[], object]) -> None:
    (at_the_end if left == 0 else lambda: _deep(left - 1, at_the_end))()


def test_a_stack_is_that_of_the_thread_innermost_first() -> None:
    """As `traceback` has it; cut at the limit."""
    waits, goes_on = threading.Event(), threading.Event()

    def stand() -> None:
        waits.set()
        goes_on.wait()

    thread = threading.Thread(target=_deep, args=(5, stand))
    thread.start()
    waits.wait()
    try:
        while (innermost := current_frames()[thread.ident or 0]).f_code.co_name != "wait":
            time.sleep(0.001)
        expected = [frame for frame, _ in traceback.walk_stack(innermost)]
        assert stack_of(innermost) == expected
        assert stack_of(innermost, 3) == expected[:3]
        assert stack_of(None) == []
        held = next(frame for frame in expected if frame.f_code.co_name == "_deep")
        assert locals_of(held)["left"] == 0
    finally:
        goes_on.set()
        thread.join()


class _Kept:
    """Something that can be seen to go."""


def test_a_variable_that_was_looked_at_goes_when_its_function_lets_go_of_it() -> None:
    """A pool's thread stays in one function for hours; its last job's arguments must not."""
    steps = [threading.Event() for _ in range(4)]
    refs: list[weakref.ref[_Kept]] = []

    def work() -> None:
        job = _Kept()
        refs.append(weakref.ref(job))
        steps[0].set()
        steps[1].wait()
        del job
        steps[2].set()
        steps[3].wait()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        steps[0].wait()
        frames = stack_of(current_frames()[thread.ident or 0])
        frame = next(each for each in frames if each.f_code is work.__code__)
        assert isinstance(locals_of(frame)["job"], _Kept)
        steps[1].set()
        steps[2].wait()
        assert refs[0]() is None
        assert "job" not in locals_of(frame)
    finally:
        steps[1].set()
        steps[3].set()
        thread.join()


def test_a_look_keeps_nothing_alive_when_it_is_over() -> None:
    """A cursor, a session, a request's body: they go as their function ends, not with a collection."""
    steps = [threading.Event() for _ in range(2)]
    refs: list[weakref.ref[_Kept]] = []

    def work() -> None:
        job = _Kept()
        refs.append(weakref.ref(job))
        steps[0].set()
        steps[1].wait()

    def look() -> int:
        frames = current_frames()
        assert threading.get_ident() not in frames
        found = [stack_of(frame) for frame in frames.values()]
        steps[1].set()
        thread.join()
        return len(found)

    thread = threading.Thread(target=work)
    gc.disable()
    try:
        thread.start()
        steps[0].wait()
        assert look()
        assert refs[0]() is None
    finally:
        gc.enable()
        steps[1].set()


def test_what_a_function_got_of_its_own_locals_stays_as_it_is() -> None:
    """Up to Python 3.12 `locals()` is the very dictionary that is read."""
    value = 5
    mine = locals()
    assert locals_of(sys._getframe())["value"] == value
    assert mine["value"] == value


def test_the_variables_of_a_module_are_its_own() -> None:
    """They are the module's dictionary itself."""
    there = {"__name__": "there", "look": lambda: locals_of(sys._getframe(1)), "told": None}
    exec("value = 5\ntold = look()", there)
    assert there["value"] == 5
    assert there["told"] is not None


def test_the_frames_of_what_waits_are_those_that_have_not_ended() -> None:
    """A coroutine, a generator, an asynchronous one; what has ended, or is none of them, has no frame."""

    async def waits() -> None:
        await asyncio.sleep(0)

    def counts() -> Iterator[int]:
        yield 1

    async def streams() -> AsyncIterator[int]:
        yield 1

    coroutine: Any = waits()
    generator: Any = counts()
    stream: Any = streams()
    ended = counts()
    assert list(ended) == [1]
    found = frames_of([coroutine, object(), generator, ended, stream, asyncio.Event()])
    assert found == [coroutine.cr_frame, generator.gi_frame, stream.ag_frame]
    coroutine.close()


def test_the_agent_reads_them_nowhere_else() -> None:
    """One naive look ends a worker once in some hours, under load, where nobody can tell why."""
    folder = Path(perftui_agent.__file__).parent
    others = [file for file in folder.rglob("*.py") if file.name != "foreign_frames.py"]
    assert not [file.name for file in others if "_current_frames()" in file.read_text()]
