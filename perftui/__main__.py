"""`python -m perftui` and the `perftui` command."""

from __future__ import annotations

import sys

from perftui.cli import main as run


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
