"""How much memory importing the agent took, where that can be told."""

from __future__ import annotations

import subprocess
import sys

ASK = "from perftui_agent.agent import IMPORTED_BYTES; print(IMPORTED_BYTES)"


def told(before: str) -> str:
    """Return what a program says that is started by one that has run `before`."""
    start = f"import subprocess, sys; {before}; subprocess.run([sys.executable, '-c', {ASK!r}], check=True)"
    answer = subprocess.run([sys.executable, "-c", start], check=True, capture_output=True, text=True)
    return answer.stdout.strip()


def test_what_the_import_took_is_told() -> None:
    """Some megabytes, and no more than the budget of the whole agent would be."""
    assert 1 << 20 <= int(told("pass")) <= 64 << 20


def test_a_process_that_inherits_the_peak_of_a_larger_one_tells_nothing() -> None:
    """Its own never reached that, so it did not rise: that is not to have taken nothing."""
    assert told("large = bytearray(400 << 20)") == "None"
