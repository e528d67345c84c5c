"""How much memory importing the agent took, where that can be told."""

from __future__ import annotations

import subprocess
import sys

ASK = "from perftui_agent.duties import IMPORTED_BYTES; print(IMPORTED_BYTES)"


def told(before: str) -> int:
    """Return what a program says that is started by one that has run `before`."""
    start = f"import subprocess, sys; {before}; subprocess.run([sys.executable, '-c', {ASK!r}], check=True)"
    answer = subprocess.run([sys.executable, "-c", start], check=True, capture_output=True, text=True)
    return int(answer.stdout)


def test_what_the_import_took_is_told() -> None:
    """Some megabytes, most of them libraries that an app may have imported before."""
    assert 1 << 20 <= told("pass") <= 64 << 20


def test_a_process_that_was_started_by_a_larger_one_tells_the_same() -> None:
    """The system hands a parent's peak on to its children, which never reach it."""
    assert told("large = bytearray(400 << 20)") >= 1 << 20
