"""Switch faults on in a demo shop, and see how soon each is told of: `python -m tests.faults [KIND…]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from demo_app.faults.needs import refused
from demo_app.faults.switches import KINDS
from tests.faults.run import GONE_S, NAMED_S, Outcome, run

HEADS = ("kind", "subject", "named after", "gone after", "near miss", "waits for CPU", "high beside it")


def main() -> int:
    """Run those named, or all; print a table; return 1 if one took too long or its near miss was told of."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="by default every kind there is")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rps", type=float, default=16.0, help="of healthy customers")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="for recordings of the shops")
    options = parser.parse_args()
    kinds = options.kinds or list(KINDS)
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"no fault {unknown[0]!r}: there are {', '.join(KINDS)}")
    reasons = {kind: reason for kind in kinds if (reason := refused({kind: "on"}, options.workers))}
    for reason in reasons.values():
        print(reason, file=sys.stderr)
    outcomes: list[Outcome] = []
    for outcome in run(
        [kind for kind in kinds if kind not in reasons], options.workers, options.rps, options.keep
    ):
        print("  ".join(outcome.cells()), file=sys.stderr, flush=True)
        outcomes.append(outcome)
    print(_table(outcomes))
    return int(any(outcome.missed for outcome in outcomes))


def _table(outcomes: list[Outcome]) -> str:
    rows = [HEADS, *(outcome.cells() for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    missed = [outcome.kind for outcome in outcomes if outcome.missed]
    good, within = len(outcomes) - len(missed), f"within {NAMED_S:g} s and {GONE_S:g} s"
    judged = f"{good} of {len(outcomes)} {within}, near misses silent"
    return "\n".join([*lines, "", judged + (f"; not: {', '.join(missed)}" if missed else "")])


if __name__ == "__main__":
    sys.exit(main())
