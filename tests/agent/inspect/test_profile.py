"""Profiles of real processes, by either engine."""

from __future__ import annotations

import asyncio
import os
import queue as queue_module
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import psutil
import pytest

from perftui_agent.inspect import pyspy_record
from perftui_agent.inspect.process_state import read_state
from perftui_agent.inspect.profile import take_profile
from perftui_agent.inspect.pyspy_record import read_raw
from perftui_agent.inspect.seen import Seen, is_idle, told
from perftui_agent.records import RequestRecord
from perftui_agent.wire.actions import Profile, ProfileRequest, Progress
from perftui_agent.wire.dumps import Refusal
from tests.agent.inspect.processes import on_agent_thread, python

BURNS = """
import threading, time
def hot():
    end = time.monotonic() + 30
    while time.monotonic() < end:
        sum(range(200))
print('ready', flush=True)
hot()
"""

IDLES = "import time\nprint('ready', flush=True)\ntime.sleep(60)\n"


class Blind:
    """Eyes that know no loop and no request."""

    thread_id = None

    def loop_waits(self, frame: FrameType) -> bool:
        return False

    def request_on_loop(self) -> RequestRecord | None:
        return None

    def route_of(self, record: RequestRecord) -> str:
        return record.route


def taken(
    request: ProfileRequest,
    pid: int,
    *,
    own: bool = False,
    told: list[Progress] | None = None,
    after_s: float | None = None,
) -> Profile | Refusal:
    """Return the answer, ended early `after_s`."""
    heard = told if told is not None else []

    async def tell(progress: Progress) -> None:
        heard.append(progress)

    async def take() -> Profile | Refusal:
        finish = asyncio.Event()
        if after_s is not None:
            asyncio.get_running_loop().call_later(after_s, finish.set)
        return await take_profile(request, pid, eyes=Blind() if own else None, tell=tell, finish=finish)

    return on_agent_thread(take)


def hottest(profile: Profile) -> tuple[str, float]:
    """Return the function in which most of the time was, and its share."""
    busy = [stack for stack in profile.stacks if not stack.idle]
    times: dict[str, int] = {}
    for stack in busy:
        for name in {profile.frames[at].function for at in stack.frames}:
            times[name] = times.get(name, 0) + stack.weight_ns
    total = sum(stack.weight_ns for stack in busy) or 1
    name = max((name for name in times if name != "<module>"), key=lambda name: times[name], default="")
    return name, times.get(name, 0) / total


def nothing_of_py_spy_is_left() -> bool:
    """Say whether no child of this process has to do with py-spy."""
    children = psutil.Process().children(recursive=True)
    return not any("py-spy" in " ".join(child.cmdline()) for child in children if child.is_running())


def test_by_py_spy_from_outside(tmp_path: Path) -> None:
    """The function that computes has its time, by line; the process goes on, and nobody is left beside it."""
    with python(BURNS, tmp_path) as process:
        heard: list[Progress] = []
        profile = taken(ProfileRequest(id="1", for_s=1.0), process.pid, told=heard)
        state = read_state(process.pid)
    assert isinstance(profile, Profile), profile
    name, share = hottest(profile)
    assert (profile.engine, name) == ("py-spy", "hot")
    assert share > 0.8
    assert 0.8e9 < profile.took_ns < 4e9
    assert state is not None
    assert not state.is_stopped
    assert nothing_of_py_spy_is_left()
    assert [each.profile is not None for each in heard] == [True]


def test_ended_early_it_keeps_what_there_is(tmp_path: Path) -> None:
    """Who does not want to wait any longer gets what was seen."""
    with python(BURNS, tmp_path) as process:
        profile = taken(ProfileRequest(id="1", for_s=60.0), process.pid, after_s=0.8)
    assert isinstance(profile, Profile), profile
    assert profile.samples > 10
    assert profile.took_ns < 5e9


def test_idle_modes(tmp_path: Path) -> None:
    """A sleeping thread is in a wall profile, and not in one of CPU."""
    with python(IDLES, tmp_path) as process:
        wall = taken(ProfileRequest(id="1", for_s=0.6, mode="wall"), process.pid)
        cpu = taken(ProfileRequest(id="1", for_s=0.6, mode="cpu"), process.pid)
    assert isinstance(wall, Profile)
    assert wall.samples > 5
    assert isinstance(cpu, Profile)
    assert cpu.samples < wall.samples / 4  # py-spy takes one that just wakes for running


@pytest.mark.parametrize(("end", "reason"), [("gone", "is gone"), ("stopped", "is stopped")])
def test_a_process_that_can_not_be_sampled(tmp_path: Path, end: str, reason: str) -> None:
    """One that is gone or stopped is refused in a sentence, and left as it was."""
    with python(IDLES, tmp_path) as process:
        if end == "gone":
            process.kill()
            process.wait()
        else:
            process.send_signal(signal.SIGSTOP)
            while not (state := read_state(process.pid)) or not state.is_stopped:
                time.sleep(0.01)
        answer = taken(ProfileRequest(id="1", for_s=1.0), process.pid)
        state = read_state(process.pid)
    assert isinstance(answer, Refusal)
    assert reason in answer.reason
    assert state is None or state.is_stopped


def test_a_process_that_ends_meanwhile(tmp_path: Path) -> None:
    """What was seen before its end is told, and that it ended."""
    with python(BURNS, tmp_path) as process:
        threading.Timer(2.6, process.kill).start()
        answer = taken(ProfileRequest(id="1", for_s=30.0), process.pid)
    assert isinstance(answer, Profile), answer
    assert answer.took_ns < 12e9
    assert answer.samples > 50
    assert nothing_of_py_spy_is_left()


def test_cancelled_it_leaves_nothing(tmp_path: Path) -> None:
    """A client that hangs up ends it: no py-spy, nothing stopped."""

    async def cancelled(pid: int) -> None:
        async def tell(progress: Progress) -> None:
            pass

        request = ProfileRequest(id="1", for_s=60.0)
        work = asyncio.ensure_future(take_profile(request, pid, eyes=None, tell=tell, finish=asyncio.Event()))
        await asyncio.sleep(0.7)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    with python(BURNS, tmp_path) as process:
        on_agent_thread(lambda: cancelled(process.pid))
        state = read_state(process.pid)
    assert state is not None
    assert not state.is_stopped
    assert nothing_of_py_spy_is_left()


def test_a_py_spy_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ignores its end is gone all the same, within seconds."""
    deaf = tmp_path / "py-spy"
    deaf.write_text("#!/bin/sh\ntrap '' INT\nwhile :; do sleep 0.1; done\n")
    deaf.chmod(0o755)
    monkeypatch.setattr(pyspy_record, "find_py_spy", lambda: str(deaf))
    with python(IDLES, tmp_path) as process:
        began = time.monotonic()
        answer = taken(ProfileRequest(id="1", for_s=0.5), process.pid)
    assert isinstance(answer, Refusal | Profile)
    assert time.monotonic() - began < 15
    assert nothing_of_py_spy_is_left()


def burn_until(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(100))


def in_thread(work: Callable[[threading.Event], None], do: Callable[[], Profile | Refusal]) -> Profile:
    """Return the profile that `do` takes while a thread works."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name="burner")
    thread.start()
    try:
        profile = do()
    finally:
        stop.set()
        thread.join()
    assert isinstance(profile, Profile), profile
    return profile


def test_by_the_sampler_from_inside() -> None:
    """The thread that computes has its time; the interval at which threads take turns is as before."""
    interval = sys.getswitchinterval()
    request = ProfileRequest(id="1", for_s=1.0, engine="sampler")
    profile = in_thread(burn_until, lambda: taken(request, os.getpid(), own=True))
    seconds = sum(
        stack.weight_ns
        for stack in profile.stacks
        if any(profile.frames[at].function == "burn_until" for at in stack.frames)
    )
    assert profile.engine == "sampler"
    assert 0.5e9 < seconds < 2e9
    assert sys.getswitchinterval() == interval
    assert not any(thread.name == "perftui-sampler" for thread in threading.enumerate())


def test_where_py_spy_may_not_trace_the_sampler_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's own agent goes on without py-spy, and says why."""
    monkeypatch.setattr(pyspy_record, "find_py_spy", lambda: None)
    profile = taken(ProfileRequest(id="1", for_s=0.3), os.getpid(), own=True)
    assert isinstance(profile, Profile)
    assert profile.engine == "sampler"
    assert profile.because.startswith("py-spy can't be started here")


@pytest.mark.parametrize(
    ("request_", "own", "reason"),
    [
        (ProfileRequest(id="1", by_route=True), False, "only worker"),
        (
            ProfileRequest(id="1", by_route=True, mode="gil"),
            True,
            "who holds the GIL",
        ),
    ],
)
def test_what_can_not_be_had(request_: ProfileRequest, own: bool, reason: str) -> None:
    """A sibling's requests are its own, and the GIL's holder is seen from outside alone."""
    answer = taken(request_, os.getpid(), own=own)
    assert isinstance(answer, Refusal)
    assert answer.reason.startswith(reason)
    assert answer.advice


def test_py_spys_rows_are_read_with_suspicion() -> None:
    """Names with brackets and blanks, frames without a line, and rows that are none."""
    text = (
        "thread (12): my; pool (1): x;f (/a b/c (d).py:3);<lambda> (/x.py) 7\n"
        "no number here\n"
        "thread (1): MainThread;main (/m.py:1) 2\n"
    )
    stacks, unread = read_raw(text)
    assert unread == 1
    assert [(stack.thread, stack.count) for stack in stacks][1] == ("MainThread", 2)
    assert stacks[1].frames[0].line == 1


def test_who_waits_for_work_is_idle() -> None:
    """A loop in its selector, uvloop in what started it, a pool's thread; nobody in the app's own code."""
    app, queue = ("pay", "/srv/app.py", 1), ("get", queue_module.__file__, 1)
    assert is_idle((app, ("select", "/usr/lib/python3.12/selectors.py", 1)))
    assert is_idle((app, ("run", "/usr/lib/python3.12/asyncio/runners.py", 1)))
    assert is_idle((("run", "/env/site-packages/anyio/_backends/_asyncio.py", 1), queue))
    assert not is_idle((app, queue))
    assert not is_idle(())


def test_too_many_stacks_are_told_as_one() -> None:
    """Those that took most stay apart; the time of the others is not lost."""
    seen: Seen = {((("f", "/a.py", line),), "", "", False, False): (line, 1) for line in range(1, 6001)}
    _, stacks, cut = told(seen)
    assert (len(stacks), cut) == (5001, 1000)
    assert sum(stack.weight_ns for stack in stacks) == sum(range(1, 6001))
