"""A dump as lines."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from perftui.present.details.dump import dump_rows, refusal_rows
from perftui.present.details.threads import is_own, seen_in
from perftui.present.documents.stacks import stacks
from perftui.present.text.cells import text_of
from perftui_agent.wire.dumps import Dump, Refusal, StackFrame, ThreadDump
from tests.support.fake_dump import blocked_dump


def text(dump: Dump, *opened: str, width: int = 80) -> list[str]:
    return [text_of(row.line).rstrip() for row in dump_rows(dump, width, opened)]


def test_the_thread_that_holds_the_gil_comes_first() -> None:
    """Whoever runs is what a reader looks for; agent and idle threads come last."""
    dump = blocked_dump(4121)
    dump.threads.reverse()
    lines = text(dump)
    assert lines[0].startswith(" ▲ MainThread  holds the GIL")
    assert lines[-1].startswith(" · perftui-agent")


def test_own_code_stands_with_its_source() -> None:
    """The line of code that runs is on the screen at 80 columns."""
    line = next(line for line in text(blocked_dump(4121)) if "build_report" in line)
    assert "app/reports.py:42" in line
    assert "rows = sorted(rows" in line


def test_the_server_is_folded() -> None:
    """What a server always does is one line, with how much there is of it."""
    lines = text(blocked_dump(4121))
    assert any("+ 10 frames of the server ⏎" in line for line in lines)
    assert not any("uvicorn/server.py" in line for line in lines)


def test_a_fold_opens() -> None:
    """An opened fold shows every frame, and its first line closes it again."""
    dump = blocked_dump(4121)
    fold = next(row.fold for row in dump_rows(dump, 80) if "of the server" in text_of(row.line))
    assert fold is not None
    rows = dump_rows(dump, 80, {fold})
    assert any("server.py" in text_of(row.line) for row in rows)
    assert any(row.fold == fold for row in rows)


def test_idle_threads_of_a_pool_are_one_line() -> None:
    """Forty waiting threads say one thing."""
    assert any("AnyIO worker × 3" in line for line in text(blocked_dump(4121)))


def test_own_code_is_told_from_what_is_installed() -> None:
    """Neither packages, nor the standard library, nor the agent, nor frozen modules are the service's."""
    others = (
        "/srv/venv/lib/python3.12/site-packages/fastapi/routing.py",
        "/usr/lib/python3/dist-packages/six.py",
        "/usr/lib/python3.12/asyncio/runners.py",
        "/opt/perftui/agent/perftui_agent/probes/http/timing.py",
        "<frozen importlib._bootstrap>",
    )
    for file in others:
        assert not is_own(StackFrame(function="f", file=file, line=1)), file
    assert is_own(StackFrame(function="f", file="/srv/shop/app/reports.py", line=1))


def test_a_loop_that_waits_is_said_to_wait() -> None:
    """A main thread in its selector has nothing to do: that is an answer too."""
    select = StackFrame(function="EpollSelector.select", file="/usr/lib/python3.12/selectors.py", line=1)
    dump = Dump(
        id="1",
        pid=1,
        taken_at=0,
        took_ns=0,
        taken_by=1,
        threads=[ThreadDump(name="MainThread", thread_id=1, is_main=True, frames=[select])],
    )
    assert "its event loop waits" in text(dump)[0]


def doubtful() -> Dump:
    """Return a dump from inside, of which a deep recursion and threads were left out."""
    turn = StackFrame(function="turn", file="/srv/shop/app/tree.py", line=7, short_file="app/tree.py")
    entry = StackFrame(function="entry", file="/srv/shop/app/tree.py", line=1, short_file="app/tree.py")
    frames = [turn] * 7 + [entry]
    thread = ThreadDump(name="MainThread", thread_id=1, is_main=True, frames=frames, frames_cut=559)
    busy = StackFrame(function="dot", file="/srv/venv/lib/python3.12/site-packages/numpy/core.py", line=3)
    return Dump(
        id="1",
        pid=1,
        taken_at=0,
        took_ns=0,
        taken_by=1,
        method="python",
        note="seen from inside: ptrace is not allowed (sysctl …)",
        threads=[thread, ThreadDump(name="pool", thread_id=2, frames=[busy])],
        threads_cut=12,
    )


@pytest.mark.parametrize("drawn", [text, stacks])
def test_the_doubts_and_limits_of_a_dump_are_told(drawn: Callable[[Dump], list[str]]) -> None:
    """Why it is no plain dump, what is not known, and what was left out, before what there is."""
    lines = drawn(doubtful())
    heading = next(place for place, line in enumerate(lines) if "MainThread" in line)
    above = " ".join(" ".join(lines[:heading]).split())
    for said in (
        "seen from inside: ptrace is not allowed",
        "who runs and who holds the GIL is not known",
        "12 threads more than are told of",
        "559 frames left out",
    ):
        assert said in above


@pytest.mark.parametrize("drawn", [text, stacks])
def test_a_stack_with_a_hole_does_not_look_whole(drawn: Callable[[Dump], list[str]]) -> None:
    """The hole stands where the frames were left out: before the outermost quarter."""
    lines = [line for line in drawn(doubtful()) if "tree.py" in line or ("left out" in line and "…" in line)]
    turns = [place for place, line in enumerate(lines) if "turn" in line]
    hole = next(place for place, line in enumerate(lines) if "559 frames left out" in line and "…" in line)
    assert turns[5] + 1 == hole == turns[6] - 1


@pytest.mark.parametrize("drawn", [text, stacks])
def test_nobody_is_said_to_wait_or_to_run_of_whom_it_is_not_known(
    drawn: Callable[[Dump], list[str]],
) -> None:
    """A thread that computes in a library is no idle one either."""
    shown = "\n".join(drawn(doubtful())).replace("who holds the GIL is not known", "")
    assert not re.search(r"waiting|running|holds the GIL|idle|IDLE", shown), shown


def test_what_is_not_known_is_null_for_scripts() -> None:
    """As is everything that was not measured."""
    (first, second) = seen_in(doubtful())
    assert (first.active, first.holds_gil, second.active) == (None, None, None)
    (known, *_) = seen_in(blocked_dump(4121))
    assert (known.active, known.holds_gil) == (True, True)


def test_a_refusal_is_a_sentence_and_the_mend() -> None:
    """Why there is no dump stands above what to do about it."""
    refusal = Refusal(id="1", reason="ptrace is not allowed here", advice="run: sysctl …")
    lines = [text_of(row.line).strip() for row in refusal_rows(refusal, 80)]
    assert lines == ["", "✗ ptrace is not allowed here", "run: sysctl …"]


def test_names_from_the_target_cannot_steer_the_terminal() -> None:
    """Thread names, functions and source lines are data."""
    frame = StackFrame(function="f\x1b[2J", file="/srv/a\x07.py", line=1, source="x = '\x1b]0;t\x07'")
    dump = Dump(
        id="1",
        pid=1,
        taken_at=0,
        took_ns=0,
        taken_by=1,
        threads=[ThreadDump(name="[bold]\x1b[31m", thread_id=1, active=True, frames=[frame])],
    )
    assert "\x1b" not in "".join(text(dump))
    assert "[bold]" in text(dump)[0]
