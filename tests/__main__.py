"""Run all tests: `python -m tests [options of pytest]`.

In two halves side by side. What needs real servers mostly waits, one server after the other; the dashboard's
own tests need none and wait for nothing. Together they would take five minutes more.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

DASHBOARD = "tests/perftui"


def main() -> int:
    """Return pytest's exit code; that of the half with servers if both have failed."""
    command = [sys.executable, "-m", "pytest", "-q", *sys.argv[1:]]
    with tempfile.TemporaryFile() as printed:
        beside = subprocess.Popen(
            # Of two that write into one cache of pytest's the later would have the say.
            [*command, "-p", "no:cacheprovider", DASHBOARD],
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            codes = subprocess.run([*command, f"--ignore={DASHBOARD}"], check=False).returncode, beside.wait()
        except KeyboardInterrupt:
            beside.wait()
            return 130
        printed.seek(0)
        sys.stdout.buffer.write(printed.read())
        sys.stdout.flush()
    return codes[0] or codes[1]


if __name__ == "__main__":
    sys.exit(main())
