"""Run all tests: `python -m tests [options of pytest]`.

Several at once: a test with a real server mostly waits for it, and together they would take half an hour.
How is in `lanes.py`, in which order they begin in `conftest.py`; each of them runs alone as well. One
that fails beside others is tried once more by itself, and that counts: a busy machine is no defect, and what
is one shows on an idle machine, too. Which ones those were stands in what is printed. Nothing runs beside
them then: what the first run has left, as a test that failed may, is ended before.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys

import psutil

FILLING = os.cpu_count() or 1
"""As many tests that only compute, of low priority: they keep every processor busy while the others wait."""

LANES = max(4, 3 * FILLING)
"""More than half of the others wait at any time."""

SOME_FAILED = 1
"""What pytest says when tests ran and some of them failed."""


PR_SET_CHILD_SUBREAPER = 36


def main(options: list[str]) -> int:
    """Return pytest's exit code, of those that were tried again if there were any."""
    pytest = [sys.executable, "-m", "pytest", "-q", *options]
    lanes = ["-p", "tests.lanes", f"--lanes={LANES}", f"--filling={FILLING}"] if hasattr(os, "fork") else []
    inherit_orphans()
    code = end_of(subprocess.Popen([*pytest, *lanes]))
    if code != SOME_FAILED or any("no:cacheprovider" in option for option in options):
        return code
    for left in end_what_is_left():
        print(f"was left running: {left}")
    print("those that failed beside others, each by itself:", flush=True)
    return subprocess.run(
        [*pytest, "--last-failed", "--last-failed-no-failures=none"], check=False
    ).returncode


def inherit_orphans() -> None:
    """Have what the run's processes leave fall to this one, where the system can; else to nobody we know."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_of(run: subprocess.Popen[bytes]) -> int:
    """Wait until a run has ended, and take note of the orphans that end meanwhile; return its exit code."""
    try:
        while (over := os.wait())[0] != run.pid:
            pass
    except KeyboardInterrupt:
        run.wait()  # the terminal has told it as well
        raise
    run.returncode = os.waitstatus_to_exitcode(over[1])
    return run.returncode


def end_what_is_left() -> list[str]:
    """End all that a run has left; return what it was, a command each."""
    commands = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                commands.append(" ".join(process.cmdline()))
                process.kill()
            process.wait(10)
    return commands


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
