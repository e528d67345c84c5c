"""Run all tests: `python -m tests [options of pytest]`.

Several at once: a test with a real server mostly waits for it, and together they would take half an hour.
How is in `lanes.py`, in which order they begin in `conftest.py`; each of them runs alone as well. One
that fails beside others is tried once more by itself, and that counts: a busy machine is no defect, and what
is one shows on an idle machine, too. Which ones those were stands in what is printed.
"""

from __future__ import annotations

import os
import subprocess
import sys

LANES = max(4, 5 * (os.cpu_count() or 1) // 2)
"""More than half of the tests wait at any time: so many keep every processor busy."""

SOME_FAILED = 1
"""What pytest says when tests ran and some of them failed."""


def main(options: list[str]) -> int:
    """Return pytest's exit code, of those that were tried again if there were any."""
    pytest = [sys.executable, "-m", "pytest", "-q", *options]
    lanes = ["-p", "tests.lanes", f"--lanes={LANES}"] if hasattr(os, "fork") else []
    code = subprocess.run([*pytest, *lanes], check=False).returncode
    if code != SOME_FAILED or any("no:cacheprovider" in option for option in options):
        return code
    print("those that failed beside others, each by itself:", flush=True)
    return subprocess.run(
        [*pytest, "--last-failed", "--last-failed-no-failures=none"], check=False
    ).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
