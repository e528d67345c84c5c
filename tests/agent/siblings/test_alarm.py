"""The alarm: a worker that nobody can look at writes its own stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from perftui_agent.siblings.alarm import Alarm
from perftui_agent.siblings.written import take_text
from perftui_agent.wire.stacks_on_signal import read_written
from tests.agent.inspect.processes import run_host

HOLDS = """
    import ctypes, faulthandler, os, sys, time
    from pathlib import Path
    from perftui_agent.inspect.on_signal import SignalledStacks
    from perftui_agent.siblings.alarm import Alarm

    def hold(seconds):
        ctypes.PyDLL(None).sleep(seconds)

    stacks, alarm = SignalledStacks(), Alarm()
    said = stacks.look_after(Path(sys.argv[1]))
    alarm.look_after(said)
    print(alarm.status)
"""


def size_of(path: Path) -> int:
    return path.stat().st_size


def test_stacks_are_written_while_c_code_holds_the_gil(tmp_path: Path) -> None:
    """By nobody's help; and the timer of `faulthandler` that the app has set is still the app's."""
    file, own = tmp_path / "x.stacks", tmp_path / "own"
    code = HOLDS + (
        "    mine = open(sys.argv[2], 'w')\n"
        "    faulthandler.dump_traceback_later(1, file=mine)\n"
        "    hold(3)\n"
        "    alarm.end()\n"
        "    faulthandler.cancel_dump_traceback_later()\n"
        "    mine.close()\n"
    )
    assert run_host(code, tmp_path, str(file), str(own)) == ["on"]
    text = take_text(file)
    assert text is not None
    frames = [frame for thread in read_written(text.data.decode()).threads for frame in thread.frames]
    assert frames[0].function == "hold"
    assert "hold" in own.read_text()
    assert size_of(file) == 0


def test_one_that_is_put_off_writes_nothing(tmp_path: Path) -> None:
    """As long as the agent's thread beats."""
    file = tmp_path / "x.stacks"
    code = HOLDS + (
        "    for _ in range(7):\n"
        "        time.sleep(0.5)\n"
        "        alarm.put_off(time.monotonic_ns())\n"
        "    alarm.end()\n"
    )
    run_host(code, tmp_path, str(file))
    assert size_of(file) == 0


@pytest.mark.parametrize("last", ["alarm.disarm(); alarm.put_off(time.monotonic_ns() * 2)", "alarm.end()"])
def test_one_that_is_over_sends_nothing_to_a_process_that_does_not_listen_any_more(
    tmp_path: Path, last: str
) -> None:
    """The signal would end it: it goes on for three seconds, and ends as it means to."""
    code = HOLDS + f"    {last}\n    stacks.end()\n    time.sleep(3)\n    print('ended well')\n"
    assert run_host(code, tmp_path, str(tmp_path / "x.stacks")) == ["on", "ended well"]


def test_without_a_signal_there_is_no_alarm() -> None:
    """Where actions are switched off, or the app has all signals."""
    alarm = Alarm()
    alarm.look_after(None)
    alarm.put_off(1)
    alarm.end()
    assert alarm.status.startswith("off")
