"""A dump as lines."""

from __future__ import annotations

from perftui.present.details.dump import dump_rows, is_own, refusal_rows
from perftui.present.text.cells import text_of
from perftui_agent.wire.frames import Dump, Refusal, StackFrame, ThreadDump
from tests.support.fake_feed import blocked_dump


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
