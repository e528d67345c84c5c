"""`python -m perftui` and the `perftui` command."""

from __future__ import annotations

import gc
import sys

# What is imported stays: to look again and again for garbage among it would take a tenth of the start.
gc.disable()

from perftui.cli import main as run  # noqa: E402

gc.enable()


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
